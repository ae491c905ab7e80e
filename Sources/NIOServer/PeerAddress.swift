#if NIO
  import EventLoop

  // NIO has types of the same names, among them one that is named as the module EventLoop: a file that imports both could not
  // say which it means.

  /// The loop's address of a peer.
  typealias PeerAddress = SocketAddress
#endif
