/// One configuration on its way through the children: what of it was already done by a child that is gone.
final class RenderRequest {
  /// Hooks of a client's run that a child has begun; they run once, however often the build is repeated.
  nonisolated struct HookSet: OptionSet, Sendable {
    let rawValue: UInt8
    static let start = HookSet(rawValue: 1)
    static let end = HookSet(rawValue: 2)

    /// The set of one stage; empty for one that is the parent's.
    init(_ stage: ClientRunStage) {
      switch stage {
      case .start: self = .start
      case .end: self = .end
      case .statistics: self = []
      }
    }

    init(rawValue: UInt8) { self.rawValue = rawValue }
  }

  let client: String
  var begunHooks: HookSet = []
  private var crashes = 0
  private var hangs = 0
  private var ends = 0

  init(client: String) { self.client = client }

  /// True once a child ended by a fault of its own while it had this request: then the parent does not try it.
  var isSuspect: Bool { crashes + hangs > 0 }

  /// Takes note of the end of the child that had the request.
  ///
  /// - Returns: false where another child must not be risked: the request ended two by a crash, three by hanging, or
  ///   ten by whatever killed them.
  func lost(_ end: ChildEnd) -> Bool {
    switch end {
    case .crashed: crashes += 1
    case .hung: hangs += 1
    case .ended: ends += 1
    }
    return crashes < 2 && hangs < 3 && ends < 10
  }
}
