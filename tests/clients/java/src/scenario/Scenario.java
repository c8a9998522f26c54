package scenario;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Runs scenarios of the stock Java client against a nameserver that is already up.
 *
 * <pre>Scenario NAME[,NAME...]|all ns=HOST:PORT [serialize=JSON|ROCKETMQ] [server=ringmq|java] [parallel=N] [key=value...]</pre>
 *
 * Prints "PASS name (seconds) facts" or "FAIL name (seconds): what was wrong" for each and ends with 0 only when all passed.
 * server=java relaxes the few checks that Java 4.9.7 itself does not meet; every such place says so.
 */
public final class Scenario {
    private static final Map<String, Callable<Case>> ALL = new LinkedHashMap<>();

    static {
        ALL.put("produce-consume", ProduceConsume::new);
        ALL.put("orderly", Orderly::new);
        ALL.put("pull", Pull::new);
        ALL.put("lite-pull", () -> (Case) Class.forName("scenario.LitePull").getDeclaredConstructor().newInstance());
        ALL.put("batch", Batch::new);
        ALL.put("one-way", OneWay::new);
        ALL.put("async-send", AsyncSend::new);
        ALL.put("delay", Delay::new);
        ALL.put("retry", Retry::new);
        ALL.put("retry-orderly", RetryOrderly::new);
        ALL.put("dead-letter", DeadLetter::new);
        ALL.put("broadcast", Broadcast::new);
        ALL.put("rebalance", Rebalance::new);
        ALL.put("tag-filter", TagFilter::new);
        ALL.put("query", Query::new);
        ALL.put("large-body", LargeBody::new);
        ALL.put("non-ascii", NonAscii::new);
        ALL.put("create-topic", CreateTopic::new);
        ALL.put("offsets", Offsets::new);
        ALL.put("many-queues", ManyQueues::new);
        ALL.put("long-poll", LongPoll::new);
        ALL.put("backlog", Backlog::new);
        ALL.put("make-topics", MakeTopics::new);
        ALL.put("endure", Endure::new);
    }

    public static void main(String[] argv) throws Exception {
        final Map<String, String> options = new LinkedHashMap<>();
        for (int i = 1; i < argv.length; i++) {
            String[] pair = argv[i].split("=", 2);
            if (pair.length != 2) {
                throw new IllegalArgumentException("not key=value: " + argv[i]);
            }
            options.put(pair[0], pair[1]);
        }
        // Before the first class of the client is loaded: it reads the property in a static initialiser.
        System.setProperty("rocketmq.serialize.type", options.getOrDefault("serialize", "JSON"));

        List<String> names = new ArrayList<>();
        String wanted = argv.length > 0 ? argv[0] : "";
        for (String name : wanted.equals("all") ? ALL.keySet() : java.util.Arrays.asList(wanted.split(","))) {
            // The 5.x lite pull consumer sends LITE_PULL_MESSAGE (361), which no 4.x broker knows; it is run only when asked for.
            if (wanted.equals("all") && (name.equals("backlog") || name.equals("make-topics") || name.equals("endure") || name.equals("lite-pull") && (!hasLitePull() || Compat.isFive()))) {
                continue;
            }
            if (!ALL.containsKey(name)) {
                System.out.println("FAIL " + name + ": no such scenario; there are " + ALL.keySet());
                System.exit(2);
            }
            names.add(name);
        }
        ExecutorService pool = Executors.newFixedThreadPool(Integer.parseInt(options.getOrDefault("parallel", "1")));
        List<Future<Boolean>> results = new ArrayList<>();
        for (final String name : names) {
            results.add(pool.submit(() -> runOne(name, options)));
        }
        boolean good = true;
        for (Future<Boolean> result : results) {
            good &= result.get();
        }
        System.out.flush();
        Runtime.getRuntime().halt(good ? 0 : 1);
    }

    private static boolean hasLitePull() {
        try {
            Class.forName("scenario.LitePull");
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    private static boolean runOne(String name, Map<String, String> options) {
        long begin = System.nanoTime();
        Case scenario = null;
        String outcome;
        boolean good = false;
        try {
            scenario = ALL.get(name).call();
            scenario.prepare(name, options);
            scenario.run();
            outcome = scenario.facts();
            good = true;
        } catch (Throwable e) {
            outcome = e instanceof Mismatch ? e.getMessage() : trace(e);
        }
        String seconds = String.format("%.1f s", (System.nanoTime() - begin) / 1e9);
        synchronized (ALL) {
            System.out.println((good ? "PASS " + name + " (" + seconds + ") " : "FAIL " + name + " (" + seconds + "): ") + outcome);
        }
        if (scenario != null) {
            scenario.close();
        }
        return good;
    }

    private static String trace(Throwable e) {
        StringBuilder text = new StringBuilder(String.valueOf(e).replace('\n', ' '));
        for (Throwable t = e; t != null; t = t.getCause()) {
            if (t != e) {
                text.append(" <- ").append(String.valueOf(t).replace('\n', ' '));
            }
            for (StackTraceElement line : t.getStackTrace()) {
                if (line.getClassName().startsWith("scenario.")) {
                    text.append(" at ").append(line);
                    break;
                }
            }
        }
        return text.toString();
    }
}
