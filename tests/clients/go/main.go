// Scenarios of rocketmq-client-go v2.1.2 against a nameserver that is already up:
//
//	go run . NAMESERVER [NAME,NAME...]
//
// Each checks what arrives against what was sent (body, keys, tags, properties, queue, offset, id), prints PASS or FAIL with the
// reason, and the program ends with 1 when any failed.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// ledger holds what was sent by body, and what came back for each.
type ledger struct {
	mu        sync.Mutex
	sent      map[string]*entry
	strangers []string
}

type entry struct {
	message *primitive.Message
	result  *primitive.SendResult
	seen    []*primitive.MessageExt
	moved   bool
}

func newLedger() *ledger { return &ledger{sent: map[string]*entry{}} }

func (l *ledger) plan(m *primitive.Message) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &entry{message: m}
	l.sent[string(m.Body)] = e
	return e
}

func (l *ledger) see(m *primitive.MessageExt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.sent[string(m.Body)]; ok {
		e.seen = append(e.seen, m)
	} else {
		l.strangers = append(l.strangers, fmt.Sprintf("%s queue offset %d body %q", m.Topic, m.QueueOffset, short(m.Body)))
	}
}

func short(b []byte) string {
	if len(b) > 60 {
		b = b[:60]
	}
	return string(b)
}

// settle waits until everything came once, then compares.
func (l *ledger) settle(limit time.Duration) error {
	end := time.Now().Add(limit)
	for {
		l.mu.Lock()
		missing := 0
		for _, e := range l.sent {
			if len(e.seen) == 0 {
				missing++
			}
		}
		l.mu.Unlock()
		if missing == 0 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d messages not seen within %v", missing, len(l.sent), limit)
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.strangers) > 0 {
		return fmt.Errorf("%d messages that nobody sent, e.g. %s", len(l.strangers), l.strangers[0])
	}
	for body, e := range l.sent {
		if len(e.seen) != 1 {
			return fmt.Errorf("message %q came %d times", short([]byte(body)), len(e.seen))
		}
		if err := e.compare(e.seen[0]); err != nil {
			return fmt.Errorf("message %q: %v", short([]byte(body)), err)
		}
	}
	return nil
}

func (e *entry) compare(got *primitive.MessageExt) error {
	want := e.message
	if got.Topic != want.Topic || got.GetTags() != want.GetTags() || strings.TrimSpace(got.GetKeys()) != strings.TrimSpace(want.GetKeys()) || got.Flag != want.Flag {
		return fmt.Errorf("want topic %s tags %s keys %s flag %d, got topic %s tags %s keys %s flag %d", want.Topic, want.GetTags(), want.GetKeys(), want.Flag,
			got.Topic, got.GetTags(), got.GetKeys(), got.Flag)
	}
	if v := want.GetProperty("who"); got.GetProperty("who") != v {
		return fmt.Errorf("property who: want %q, got %q", v, got.GetProperty("who"))
	}
	if e.result != nil {
		if got.MsgId != e.result.MsgID {
			return fmt.Errorf("id: want %s, got %s", e.result.MsgID, got.MsgId)
		}
		if !e.moved && (got.QueueOffset != e.result.QueueOffset || got.Queue.QueueId != e.result.MessageQueue.QueueId || got.OffsetMsgId != e.result.OffsetMsgID) {
			return fmt.Errorf("place: want queue %d offset %d id %s, got queue %d offset %d id %s", e.result.MessageQueue.QueueId, e.result.QueueOffset,
				e.result.OffsetMsgID, got.Queue.QueueId, got.QueueOffset, got.OffsetMsgId)
		}
	}
	return nil
}

// run is one scenario's state: names of its own and the clients to end.
type run struct {
	ns     primitive.NamesrvAddr
	prefix string
	serial int32
	ends   []func()
}

func (r *run) name(what string) string { return r.prefix + "_" + what }

func (r *run) close() {
	for i := len(r.ends) - 1; i >= 0; i-- {
		r.ends[i]()
	}
}

func (r *run) instance() string { return fmt.Sprintf("%s_%d", r.prefix, atomic.AddInt32(&r.serial, 1)) }

func (r *run) producer(options ...producer.Option) (rocketmq.Producer, error) {
	options = append([]producer.Option{producer.WithNameServer(r.ns), producer.WithGroupName(r.name("producer")), producer.WithInstanceName(r.instance()),
		producer.WithRetry(0), producer.WithSendMsgTimeout(15 * time.Second)}, options...)
	p, err := rocketmq.NewProducer(options...)
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	r.ends = append(r.ends, func() { _ = p.Shutdown() })
	return p, nil
}

func (r *run) consume(group, topic, tags string, listen func(*primitive.MessageExt) consumer.ConsumeResult, options ...consumer.Option) (rocketmq.PushConsumer, error) {
	options = append([]consumer.Option{consumer.WithNameServer(r.ns), consumer.WithGroupName(r.name(group)), consumer.WithInstance(r.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset)}, options...)
	c, err := rocketmq.NewPushConsumer(options...)
	if err != nil {
		return nil, err
	}
	err = c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags}, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		result := consumer.ConsumeSuccess
		for _, m := range ms {
			if one := listen(m); one != consumer.ConsumeSuccess {
				result = one
			}
		}
		return result, nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	r.ends = append(r.ends, func() { _ = c.Shutdown() })
	return c, nil
}

func (r *run) message(topic, tag, key string) *primitive.Message {
	m := primitive.NewMessage(topic, []byte("body of "+key+" in "+r.prefix))
	m.WithTag(tag).WithKeys([]string{key}).WithProperty("who", key+" 值")
	return m
}

func into(l *ledger) func(*primitive.MessageExt) consumer.ConsumeResult {
	return func(m *primitive.MessageExt) consumer.ConsumeResult { l.see(m); return consumer.ConsumeSuccess }
}

func (r *run) send(p rocketmq.Producer, l *ledger, m *primitive.Message) (*entry, error) {
	e := l.plan(m)
	result, err := p.SendSync(context.Background(), m)
	if err != nil {
		return nil, err
	}
	if result.Status != primitive.SendOK {
		return nil, fmt.Errorf("send status %d", result.Status)
	}
	e.result = result
	return e, nil
}

// produceConsume: synchronous, asynchronous and one-way sends to a topic made by the first send.
func produceConsume(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	l, topic := newLedger(), r.name("topic")
	for i := 0; i < 100; i++ {
		if _, err := r.send(p, l, r.message(topic, fmt.Sprint("Tag", i%3), fmt.Sprint("sync", i))); err != nil {
			return err
		}
	}
	var wait sync.WaitGroup
	var failed atomic.Value
	for i := 0; i < 100; i++ {
		e := l.plan(r.message(topic, "Async", fmt.Sprint("async", i)))
		wait.Add(1)
		err := p.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			if err != nil {
				failed.Store(err)
			}
			e.result = result
			wait.Done()
		}, e.message)
		if err != nil {
			return err
		}
	}
	wait.Wait()
	if err, _ := failed.Load().(error); err != nil {
		return fmt.Errorf("asynchronous send: %v", err)
	}
	for i := 0; i < 20; i++ {
		m := r.message(topic, "OneWay", fmt.Sprint("oneway", i))
		l.plan(m)
		if err := p.SendOneWay(context.Background(), m); err != nil {
			return err
		}
	}
	if _, err := r.consume("group", topic, "*", into(l)); err != nil {
		return err
	}
	return l.settle(90 * time.Second)
}

// batch: one send of many, each with its own id and place.
func batch(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	l, topic := newLedger(), r.name("topic")
	var ms []*primitive.Message
	for i := 0; i < 50; i++ {
		m := r.message(topic, "Batch", fmt.Sprint("b", i))
		l.plan(m)
		ms = append(ms, m)
	}
	result, err := p.SendSync(context.Background(), ms...)
	if err != nil {
		return err
	}
	if result.Status != primitive.SendOK {
		return fmt.Errorf("batch status %d", result.Status)
	}
	if _, err := r.consume("group", topic, "*", into(l)); err != nil {
		return err
	}
	if err := l.settle(90 * time.Second); err != nil {
		return err
	}
	for i, m := range ms {
		got := l.sent[string(m.Body)].seen[0]
		if got.QueueOffset != result.QueueOffset+int64(i) {
			return fmt.Errorf("place %d of the batch lies at offset %d, the batch begins at %d", i, got.QueueOffset, result.QueueOffset)
		}
	}
	return nil
}

// orderly: hashed by sharding key, each queue consumed in the order of its offsets.
func orderly(r *run) error {
	p, err := r.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	if err != nil {
		return err
	}
	l, topic := newLedger(), r.name("topic")
	for i := 0; i < 100; i++ {
		m := r.message(topic, "T", fmt.Sprint("k", i))
		m.WithShardingKey(fmt.Sprint("shard", i%3))
		if _, err := r.send(p, l, m); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	last := map[int]int64{}
	wrong := ""
	_, err = r.consume("group", topic, "*", func(m *primitive.MessageExt) consumer.ConsumeResult {
		mu.Lock()
		if next := last[m.Queue.QueueId]; m.QueueOffset != next && wrong == "" {
			wrong = fmt.Sprintf("queue %d: want offset %d, got %d", m.Queue.QueueId, next, m.QueueOffset)
		}
		last[m.Queue.QueueId] = m.QueueOffset + 1
		mu.Unlock()
		l.see(m)
		return consumer.ConsumeSuccess
	}, consumer.WithConsumerOrder(true))
	if err != nil {
		return err
	}
	if err := l.settle(90 * time.Second); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if wrong != "" {
		return fmt.Errorf("%s", wrong)
	}
	return nil
}

// retry: some messages fail once and come again with reconsume times 1.
func retry(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	l, topic := newLedger(), r.name("topic")
	for i := 0; i < 12; i++ {
		e, err := r.send(p, l, r.message(topic, "T", fmt.Sprint("k", i)))
		if err != nil {
			return err
		}
		e.moved = i%3 == 0
	}
	var mu sync.Mutex
	wrong := ""
	tries := map[string]int{}
	_, err = r.consume("group", topic, "*", func(m *primitive.MessageExt) consumer.ConsumeResult {
		mu.Lock()
		defer mu.Unlock()
		n := tries[string(m.Body)]
		tries[string(m.Body)]++
		if e := l.sent[string(m.Body)]; e != nil && e.moved && n == 0 {
			return consumer.ConsumeRetryLater
		}
		if m.ReconsumeTimes != int32(n) && wrong == "" {
			wrong = fmt.Sprintf("try %d of %q has reconsume times %d", n, short(m.Body), m.ReconsumeTimes)
		}
		l.see(m)
		return consumer.ConsumeSuccess
	})
	if err != nil {
		return err
	}
	if err := l.settle(120 * time.Second); err != nil {
		return err
	}
	if wrong != "" {
		return fmt.Errorf("%s", wrong)
	}
	return nil
}

// tags: a subscription to one of three tags.
func tags(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	l, topic := newLedger(), r.name("topic")
	for i := 0; i < 60; i++ {
		m := r.message(topic, fmt.Sprint("Tag", i%3), fmt.Sprint("k", i))
		if i%3 == 1 {
			if _, err := r.send(p, l, m); err != nil {
				return err
			}
		} else if _, err := p.SendSync(context.Background(), m); err != nil {
			return err
		}
	}
	if _, err := r.consume("group", topic, "Tag1", into(l)); err != nil {
		return err
	}
	return l.settle(90 * time.Second)
}

// broadcast: two consumers of one group, both get all.
func broadcast(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	topic := r.name("topic")
	if _, err := p.SendSync(context.Background(), r.message(topic, "First", "makes the topic")); err != nil {
		return err
	}
	both := []*ledger{newLedger(), newLedger()}
	for i := 0; i < 30; i++ {
		m := r.message(topic, "T", fmt.Sprint("k", i))
		one, other := both[0].plan(m), both[1].plan(m)
		result, err := p.SendSync(context.Background(), m)
		if err != nil {
			return err
		}
		one.result, other.result = result, result
	}
	for _, l := range both {
		if _, err := r.consume("group", topic, "T", into(l), consumer.WithConsumerModel(consumer.BroadCasting)); err != nil {
			return err
		}
	}
	for _, l := range both {
		if err := l.settle(90 * time.Second); err != nil {
			return err
		}
	}
	return nil
}

// offsets: a successor goes on behind what its predecessor consumed.
func offsets(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	topic := r.name("topic")
	for part := 0; part < 2; part++ {
		l := newLedger()
		for i := 0; i < 40; i++ {
			if _, err := r.send(p, l, r.message(topic, "T", fmt.Sprint("part", part, "k", i))); err != nil {
				return err
			}
		}
		c, err := r.consume("group", topic, "*", into(l))
		if err != nil {
			return err
		}
		if err := l.settle(90 * time.Second); err != nil {
			return fmt.Errorf("part %d: %v", part, err)
		}
		if err := c.Shutdown(); err != nil {
			return err
		}
	}
	return nil
}

// delay: level 2 (5 s), neither early nor much too late.
func delay(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	l, topic := newLedger(), r.name("topic")
	if _, err := r.send(p, l, r.message(topic, "T", "at once")); err != nil {
		return err
	}
	var mu sync.Mutex
	came := map[string]time.Time{}
	if _, err := r.consume("group", topic, "*", func(m *primitive.MessageExt) consumer.ConsumeResult {
		mu.Lock()
		came[string(m.Body)] = time.Now()
		mu.Unlock()
		l.see(m)
		return consumer.ConsumeSuccess
	}); err != nil {
		return err
	}
	due := map[string]time.Time{}
	for i := 0; i < 5; i++ {
		m := r.message(topic, "T", fmt.Sprint("delayed", i))
		m.WithDelayTimeLevel(2)
		due[string(m.Body)] = time.Now().Add(5 * time.Second)
		e, err := r.send(p, l, m)
		if err != nil {
			return err
		}
		e.moved = true
	}
	if err := l.settle(60 * time.Second); err != nil {
		return err
	}
	for body, at := range due {
		if late := came[body].Sub(at); late < 0 || late > 3*time.Second {
			return fmt.Errorf("%q came %v after it was due", short([]byte(body)), late)
		}
	}
	return nil
}

// createTopic: by the admin client, with a number of queues, and deleted again.
func createTopic(r *run) error {
	a, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver(r.ns)))
	if err != nil {
		return err
	}
	r.ends = append(r.ends, func() { _ = a.Close() })
	topic := r.name("topic")
	if err := a.CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(brokerAddr), admin.WithReadQueueNums(2),
		admin.WithWriteQueueNums(2)); err != nil {
		return err
	}
	p, err := r.producer()
	if err != nil {
		return err
	}
	l := newLedger()
	for i := 0; i < 10; i++ {
		e, err := r.send(p, l, r.message(topic, "T", fmt.Sprint("k", i)))
		if err != nil {
			return err
		}
		if e.result.MessageQueue.QueueId > 1 {
			return fmt.Errorf("a topic of 2 queues took a message in queue %d", e.result.MessageQueue.QueueId)
		}
	}
	if _, err := r.consume("group", topic, "*", into(l)); err != nil {
		return err
	}
	return l.settle(90 * time.Second)
}

// large: a body of 1 MiB.
func large(r *run) error {
	p, err := r.producer()
	if err != nil {
		return err
	}
	l, topic := newLedger(), r.name("topic")
	for _, size := range []int{1 << 20, 4095, 4096, 70000} {
		m := primitive.NewMessage(topic, []byte(strings.Repeat(fmt.Sprintf("%08d", size), size/8)))
		m.WithTag("Large").WithKeys([]string{fmt.Sprint("size", size)})
		if _, err := r.send(p, l, m); err != nil {
			return err
		}
	}
	if _, err := r.consume("group", topic, "*", into(l)); err != nil {
		return err
	}
	return l.settle(90 * time.Second)
}

var brokerAddr string

func main() {
	rlog.SetLogLevel("error")
	ns := os.Args[1]
	all := []struct {
		name string
		run  func(*run) error
	}{{"produce-consume", produceConsume}, {"batch", batch}, {"orderly", orderly}, {"retry", retry}, {"tags", tags}, {"broadcast", broadcast},
		{"offsets", offsets}, {"delay", delay}, {"create-topic", createTopic}, {"large", large}}
	wanted := ""
	if len(os.Args) > 2 {
		brokerAddr = os.Args[2]
	}
	if len(os.Args) > 3 {
		wanted = "," + os.Args[3] + ","
	}
	var failed int32
	var wait sync.WaitGroup
	// Broadcasting consumers keep their offsets in the home folder.
	for i, s := range all {
		if wanted != "" && !strings.Contains(wanted, ","+s.name+",") {
			continue
		}
		if s.name == "create-topic" && brokerAddr == "" {
			fmt.Println("SKIPPED go create-topic: no broker address given")
			continue
		}
		i, s := i, s
		wait.Add(1)
		go func() {
			defer wait.Done()
			r := &run{ns: primitive.NamesrvAddr{ns}, prefix: fmt.Sprintf("go_%s_%x%d", strings.ReplaceAll(s.name, "-", "_"), time.Now().UnixMilli(), i)}
			begin := time.Now()
			err := s.run(r)
			if err != nil {
				atomic.AddInt32(&failed, 1)
				fmt.Printf("FAIL %s (%.1f s): %v\n", s.name, time.Since(begin).Seconds(), err)
			} else {
				fmt.Printf("PASS %s (%.1f s)\n", s.name, time.Since(begin).Seconds())
			}
			r.close()
		}()
	}
	wait.Wait()
	if failed > 0 {
		os.Exit(1)
	}
}
