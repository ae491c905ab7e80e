import CLinux
import Glibc

/// Ends a process by SIGINT, SIGTERM or SIGHUP as if nothing handled them, but leaves no children and no temporary folders: for
/// commands, whose work has no other end than its own.
///
/// A signal that is ignored when this begins, as nohup(1) and shells do it for what runs in the background, stays ignored.
@MainActor public final class EndingSignals {
  /// How long children get to end by themselves.
  private static let patience: Duration = .seconds(5)
  /// How long the kernel gets to end them.
  private static let killPatience: Duration = .seconds(2)

  private let signals: Signals

  /// - Throws: as `Signals`.
  public init(on loop: Reactor) throws(SystemError) {
    let ending = [SIGINT, SIGTERM, SIGHUP].filter { !Self.isIgnored($0) }
    signals = try Signals(ending, on: loop) { event in Self.end(by: event.signal) }
  }

  isolated deinit { signals.close() }

  /// Has the signals that a terminal sends to a whole process group ignored here: for a child that is told by its parent.
  public nonisolated static func leaveTerminalToParent() {
    for number in [SIGINT, SIGHUP] { signal(number, SIG_IGN) }
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  private static func end(by number: Int32) -> Never {
    EndingDuty.performAll()
    ChildProcess.endAll(patience: patience, killPatience: killPatience)
    TemporaryFolder.removeAll()
    signal(number, SIG_DFL)
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, number)
    raise(number)
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    // The first process of a container is not ended by a signal that it sends to itself.
    _exit(128 + number)
  }
}

/// What is to be done before a signal ends this process, such as removing a file that is not complete. It counts as long as this
/// exists.
@MainActor public final class EndingDuty {
  private static var duties: [(number: UInt, perform: () -> Void)] = []
  private static var lastNumber: UInt = 0

  private let number: UInt

  public init(_ perform: @escaping () -> Void) {
    Self.lastNumber += 1
    number = Self.lastNumber
    Self.duties.append((number, perform))
  }

  isolated deinit { Self.duties.removeAll { $0.number == number } }

  /// The last one first: each may rely on what was there before it.
  static func performAll() {
    while let duty = duties.popLast() { duty.perform() }
  }
}

extension Reactor {
  /// Runs a command on one loop, which leaves nothing behind when a signal ends it, and no children even when it is killed.
  /// Otherwise as ``runAsMain(_:)``.
  public static func runAsCommand(_ body: @escaping (Reactor) async -> Int32) throws(SystemError) -> Int32 {
    var failure: SystemError?
    ChildProcess.endWithParent = true
    let status = try runAsMain { loop in
      do throws(SystemError) {
        let signals = try EndingSignals(on: loop)
        defer { withExtendedLifetime(signals) {} }
        return await body(loop)
      } catch {
        failure = error
        return 1
      }
    }
    if let failure { throw failure }
    return status
  }
}
