package scenario;

/** What the server did differs from what it must do; the message says both. */
final class Mismatch extends RuntimeException {
    Mismatch(String what) {
        super(what);
    }

    static void unless(boolean condition, String what) {
        if (!condition) {
            throw new Mismatch(what);
        }
    }

    static void equal(Object want, Object got, String what) {
        if (want == null ? got != null : !want.equals(got)) {
            throw new Mismatch(what + ": want " + want + ", got " + got);
        }
    }
}
