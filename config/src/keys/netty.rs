//! Java's `NettyServerConfig` and `NettyClientConfig` (4.9.7), fields in order.

use super::*;

const KERNEL_BUFFERS: &str = "the kernel sizes socket buffers";

const HIGH_WATER: Key =
    int("writeBufferHighWaterMark", "0").accepted("bytes waiting to be sent before a connection stops", NETTY);
const LOW_WATER: Key =
    int("writeBufferLowWaterMark", "0").accepted("bytes waiting to be sent before it goes on", NETTY);

#[rustfmt::skip]
pub(super) const SERVER_KEYS: &[Key] = &[
    computed("listenPort", Kind::Number { java: "int", min: 3, max: 65_534, clamp: false }, Formula::ListenPort).live("TCP port; a broker takes listenPort - 2 and listenPort + 1 too"),
    int("serverWorkerThreads", "8").accepted("threads that decode", ONE_THREAD),
    int("serverCallbackExecutorThreads", "0").accepted("threads for callbacks", ONE_THREAD),
    int("serverSelectorThreads", "3").accepted("threads that read sockets", ONE_THREAD),
    int("serverOnewaySemaphoreValue", "256").accepted("one-way calls under way to clients", NETTY),
    int("serverAsyncSemaphoreValue", "64").accepted("calls under way to clients", NETTY),
    int_in("serverChannelMaxIdleTimeSeconds", "120", 1, INT_MAX).live("seconds of silence before a connection is closed"),
    int("serverSocketSndBufSize", "0").accepted("bytes of a socket's send buffer", KERNEL_BUFFERS),
    int("serverSocketRcvBufSize", "0").accepted("bytes of a socket's receive buffer", KERNEL_BUFFERS),
    HIGH_WATER,
    LOW_WATER,
    int_in("serverSocketBacklog", "1024", 1, 65_535).accepted("connections waiting to be accepted", "1024 may always wait"),
    boolean("serverPooledByteBufAllocatorEnable", true).accepted("pool buffers", NETTY),
    boolean("useEpollNativeSelector", false).accepted("use epoll", NETTY),
];

#[rustfmt::skip]
pub(super) const CLIENT_KEYS: &[Key] = &[
    int("clientWorkerThreads", "4").accepted("threads that decode", ONE_THREAD),
    computed("clientCallbackExecutorThreads", INT, Formula::Cores).accepted("threads for callbacks", ONE_THREAD),
    int("clientOnewaySemaphoreValue", "65535").accepted("one-way calls under way", NETTY),
    int("clientAsyncSemaphoreValue", "65535").accepted("calls under way", NETTY),
    int_in("connectTimeoutMillis", "3000", 1, INT_MAX).live("ms to wait for a connection to a nameserver"),
    long("channelNotActiveInterval", "60000").accepted("none", UNUSED_IN_JAVA),
    int("clientChannelMaxIdleTimeSeconds", "120").accepted("seconds of silence before an outgoing connection is closed", "a connection to a nameserver is kept between registrations"),
    int("clientSocketSndBufSize", "0").accepted("bytes of a socket's send buffer", KERNEL_BUFFERS),
    int("clientSocketRcvBufSize", "0").accepted("bytes of a socket's receive buffer", KERNEL_BUFFERS),
    boolean("clientPooledByteBufAllocatorEnable", false).accepted("pool buffers", NETTY),
    boolean("clientCloseSocketIfTimeout", true).accepted("close a connection whose call timed out", "a connection whose call timed out is always closed"),
    boolean("useTLS", false).later("speak TLS to nameservers", Switch::Value(&["true"]), TLS),
    HIGH_WATER,
    LOW_WATER,
];
