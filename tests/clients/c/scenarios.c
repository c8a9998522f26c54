/* Scenarios of the C++ client 1.x (librocketmq.so, as carried by the Python wheel) through its C functions, declared here by hand
 * because no header comes with it:  scenarios NAMESERVER RUN
 * Sends in several ways, consumes with one failure on the way, checks every message; PASS or FAIL lines, ends with 1 on failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>

typedef struct CProducer CProducer;
typedef struct CMessage CMessage;
typedef struct CPushConsumer CPushConsumer;
typedef struct CMessageExt CMessageExt;
typedef struct { int sendStatus; char msgId[256]; long long offset; } CSendResult;

CProducer *CreateProducer(const char *group);
int SetProducerNameServerAddress(CProducer *, const char *);
int StartProducer(CProducer *);
int ShutdownProducer(CProducer *);
int DestroyProducer(CProducer *);
CMessage *CreateMessage(const char *topic);
int SetMessageTags(CMessage *, const char *);
int SetMessageKeys(CMessage *, const char *);
int SetMessageBody(CMessage *, const char *);
int SetMessageProperty(CMessage *, const char *, const char *);
int DestroyMessage(CMessage *);
int SendMessageSync(CProducer *, CMessage *, CSendResult *);
int SendMessageOneway(CProducer *, CMessage *);
const char *GetLatestErrorMessage(void);
CPushConsumer *CreatePushConsumer(const char *group);
int SetPushConsumerNameServerAddress(CPushConsumer *, const char *);
int Subscribe(CPushConsumer *, const char *topic, const char *tags);
int RegisterMessageCallback(CPushConsumer *, int (*)(CPushConsumer *, CMessageExt *));
int StartPushConsumer(CPushConsumer *);
int ShutdownPushConsumer(CPushConsumer *);
const char *GetMessageTopic(CMessageExt *);
const char *GetMessageTags(CMessageExt *);
const char *GetMessageKeys(CMessageExt *);
const char *GetMessageBody(CMessageExt *);
const char *GetMessageProperty(CMessageExt *, const char *);
int GetMessageReconsumeTimes(CMessageExt *);
long long GetMessageQueueOffset(CMessageExt *);

enum { CONSUME_SUCCESS = 0, RECONSUME_LATER = 1, N = 60, RETRIED = 7 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int seen[N], tries[N], retried_times = -1;
static char topic[128], wrong[512];

static void expect(const char *what, int i, const char *want, const char *got) {
  if (!wrong[0] && (!got || strcmp(want, got)))
    snprintf(wrong, sizeof wrong, "message %d: %s: want \"%s\", got \"%s\"", i, what, want, got ? got : "nothing");
}

static int listen(CPushConsumer *consumer, CMessageExt *m) {
  (void)consumer;
  int i = -1;
  char text[64];
  const char *body = GetMessageBody(m);
  pthread_mutex_lock(&lock);
  if (!body || sscanf(body, "c body %d", &i) != 1 || i < 0 || i >= N) {
    snprintf(wrong, sizeof wrong, "a message that nobody sent: \"%.60s\"", body ? body : "");
    pthread_mutex_unlock(&lock);
    return CONSUME_SUCCESS;
  }
  int first = tries[i]++ == 0;
  if (i == RETRIED && first) {
    pthread_mutex_unlock(&lock);
    return RECONSUME_LATER;
  }
  if (i == RETRIED) retried_times = GetMessageReconsumeTimes(m);
  expect("topic", i, topic, GetMessageTopic(m));
  snprintf(text, sizeof text, "c body %d of the run", i);
  expect("body", i, text, body);
  snprintf(text, sizeof text, "Tag%d", i % 3);
  expect("tags", i, text, GetMessageTags(m));
  snprintf(text, sizeof text, "key%d", i);
  expect("keys", i, text, GetMessageKeys(m));
  snprintf(text, sizeof text, "%d 值", i);
  expect("property", i, text, GetMessageProperty(m, "who"));
  seen[i]++;
  pthread_mutex_unlock(&lock);
  return CONSUME_SUCCESS;
}

static int fail(const char *what) {
  printf("FAIL c-client: %s: %s\n", what, GetLatestErrorMessage());
  fflush(stdout);
  _exit(1);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  char group[128], text[64];
  snprintf(topic, sizeof topic, "c_topic_%s", argv[2]);
  snprintf(group, sizeof group, "c_producer_%s", argv[2]);
  CProducer *producer = CreateProducer(group);
  SetProducerNameServerAddress(producer, argv[1]);
  if (StartProducer(producer)) fail("the producer does not start");
  for (int i = 0; i < N; i++) {
    CMessage *m = CreateMessage(topic);
    snprintf(text, sizeof text, "Tag%d", i % 3);
    SetMessageTags(m, text);
    snprintf(text, sizeof text, "key%d", i);
    SetMessageKeys(m, text);
    snprintf(text, sizeof text, "%d 值", i);
    SetMessageProperty(m, "who", text);
    snprintf(text, sizeof text, "c body %d of the run", i);
    SetMessageBody(m, text);
    if (i % 10 == 9) {
      if (SendMessageOneway(producer, m)) fail("one-way send");
    } else {
      CSendResult r;
      memset(&r, 0, sizeof r);
      if (SendMessageSync(producer, m, &r)) fail("send");
      if (r.sendStatus != 0 || !r.msgId[0]) fail("send status");
    }
    DestroyMessage(m);
  }
  snprintf(group, sizeof group, "c_consumer_%s", argv[2]);
  CPushConsumer *consumer = CreatePushConsumer(group);
  SetPushConsumerNameServerAddress(consumer, argv[1]);
  Subscribe(consumer, topic, "*");
  RegisterMessageCallback(consumer, listen);
  if (StartPushConsumer(consumer)) fail("the consumer does not start");
  int missing = N;
  for (int t = 0; t < 1500 && missing; t++) {
    usleep(100000);
    pthread_mutex_lock(&lock);
    missing = 0;
    for (int i = 0; i < N; i++) missing += seen[i] == 0;
    pthread_mutex_unlock(&lock);
  }
  pthread_mutex_lock(&lock);
  for (int i = 0; i < N && !wrong[0]; i++)
    /* This library sends back what it had handed over beside the failed one, so twice is no fault of the server. */
    if (seen[i] < 1 || seen[i] > 2) snprintf(wrong, sizeof wrong, "message %d came %d times (%d of %d missing)", i, seen[i], missing, N);
  if (!wrong[0] && retried_times != 1) snprintf(wrong, sizeof wrong, "second try has reconsume times %d", retried_times);
  if (wrong[0])
    printf("FAIL c-client: %s\n", wrong);
  else
    printf("PASS c-client %d messages, one of them at the second try\n", N);
  fflush(stdout);
  _exit(wrong[0] != 0);
}
