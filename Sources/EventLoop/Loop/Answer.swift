/// The answer to a question that some can answer at once, and others only after waiting.
///
/// What is known at once costs no task and no turn of the loop.
public nonisolated enum Answer<Value: Sendable> {
  case now(Value)
  /// The answer needs waiting: call this once, and await it.
  case later(@MainActor () async -> Value)

  /// The answer, waited for where that is necessary.
  @MainActor public var value: Value {
    get async {
      switch self {
      case .now(let value): value
      case .later(let value): await value()
      }
    }
  }
}
