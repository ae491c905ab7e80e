/// When the certificate of an open connection's client has to be checked again: the rule of every library of connections.
///
/// Each request asks. A check costs as much as a part of a handshake, so it is made when the files were read again, and
/// after a while, since certificates and lists expire.
@MainActor public struct CertificateCheck {
  /// After this time it is checked again.
  static let interval: Duration = .seconds(60)

  private let context: TLSContext
  /// The state of the context at the last check, and when that was.
  private var generation: Int
  private var time: MonotonicTime

  /// To be made when the handshake begins, which checks the certificate itself.
  public init(_ context: TLSContext) {
    self.context = context
    generation = context.generation
    time = context.clock()
  }

  /// Why the certificate does not count any more; nil: it does. One that is refused is checked again each time.
  ///
  /// - Parameter verify: checks it by the rules that the context has now.
  public mutating func fault(_ verify: () -> String?) -> String? {
    // Who asks for no certificates has nothing to check them by.
    guard context.requestsClientCertificate else { return nil }
    let now = context.clock()
    if generation == context.generation, now - time < Self.interval { return nil }
    if let fault = verify() { return fault }
    (generation, time) = (context.generation, now)
    return nil
  }
}
