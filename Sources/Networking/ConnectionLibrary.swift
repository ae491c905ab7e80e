public import EventLoop

/// How a core's connections come to its table: who accepts them, moves their bytes and does TLS.
///
/// `LoopConnections` does it on the loop, with OpenSSL. Another library may have threads of its own. Everything from the
/// first byte of a request on is the table's: limits, deadlines, HTTP, authentication, counters, drain.
///
/// A core calls, in this order, `open`, `listen` for each socket, `serve`, `close` and, after the last connection has
/// ended, `finish`; or `end` at any time, which waits for nobody.
@MainActor public protocol ConnectionLibrary: AnyObject {
  /// The name of a core that uses it, in statistics and the log.
  var coreName: String { get }
  /// Told once whenever descriptors or memory for new connections run out, with the call that failed.
  var onExhausted: ((SystemError) -> Void)? { get set }

  /// Prepares TLS, with the privileges that the process may drop afterwards.
  ///
  /// - Returns: what the library cannot do of what is configured, each in one sentence.
  /// - Throws: why it cannot be used with these certificates.
  func open(for table: ConnectionTable, context: TLSContext) throws -> [String]
  /// Takes a listening socket over, on which nothing is accepted before `serve`.
  ///
  /// - Returns: its address, with the port that the kernel chose for port 0.
  func listen(on socket: consuming FileDescriptor) throws(SystemError) -> SocketAddress
  /// Accepts connections, also those that wait in the kernel's queue.
  func serve() async throws
  /// Calls back once whatever does the library's work besides the loop has had a turn; never while it hangs. A question asked
  /// before the last one was answered takes its place.
  func proveLife(_ answer: @escaping () -> Void)
  /// Closes the listening sockets. Connections go on.
  ///
  /// - Parameter completion: called once the table has every connection that was accepted: none is lost where another process
  ///   goes on with the sockets.
  func close(_ completion: @escaping () -> Void)
  /// Sends what counts as written, within a bound, and releases everything, once the table is empty.
  func finish(_ completion: @escaping () -> Void)
  /// Releases everything at once. What waits for `close` or `finish` is not called any more.
  func end()
}

/// A transport whose readiness is not that of a descriptor on the loop: a library's.
public protocol LibraryTransport: Transport {
  /// Calls the handler whenever what is asked for can be done, once in an iteration, as long as that is so: like a
  /// level-triggered poller. Input is asked for at first.
  func watch(_ handler: @escaping () -> Void)
  /// Changes what is asked for.
  func setInterest(_ interest: Interest)
  /// Bounds what the kernel keeps of an answer that the peer does not read.
  func boundUnsent(to limitBytes: Int)
  /// Ends the connection at once. The handler is not called again.
  func end()
}
