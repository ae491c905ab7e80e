#if NIO
  import EventLoop
  import NIOConcurrencyHelpers
  import NIOCore

  /// What NIO's thread has for the loop: one wakeup for many connections.
  ///
  /// It is bounded: a connection is in it once, new ones are counted by the `AcceptGate`, of failed accepts the last counts, and
  /// there are few notices.
  final class Mailbox: Sendable {
    /// What NIO's thread tells of itself, once it was asked to.
    enum Notice {
      /// No socket is listened on any more, and whoever was accepted is among the arrivals.
      case stoppedAccepting
      /// NIO has no connection any more.
      case isEmpty
      /// The thread has had a turn.
      case hadTurn
    }

    struct Contents {
      /// New connections, with the peer's address.
      var arrivals: [(link: Link, address: PeerAddress)] = []
      /// Connections with something to look at.
      var links: [Link] = []
      /// The call that failed because descriptors or memory ran out.
      var exhaustion: SystemError?
      /// Listening sockets that NIO has closed by itself, with the reason.
      var lostListeners: [String] = []
      var notices: Set<Notice> = []

      var isEmpty: Bool {
        arrivals.isEmpty && links.isEmpty && exhaustion == nil && lostListeners.isEmpty && notices.isEmpty
      }
    }

    private struct State {
      var contents = Contents()
      var isClosed = false
      /// Connections that NIO has.
      var connections = 0
      /// The loop waits until it has none.
      var isEndAwaited = false

      mutating func tellIfEmpty() {
        guard isEndAwaited, connections == 0 else { return }
        isEndAwaited = false
        contents.notices.insert(.isEmpty)
      }
    }

    private let state = NIOLockedValueBox(State())
    private let wakeup: Wakeup

    init(_ wakeup: Wakeup) { self.wakeup = wakeup }

    func add(_ link: Link) { change { $0.contents.links.append(link) } }

    func add(_ link: Link, from address: PeerAddress) { change { $0.contents.arrivals.append((link, address)) } }

    func add(_ exhaustion: SystemError) { change { $0.contents.exhaustion = exhaustion } }

    func addLostListener(_ text: String) { change { $0.contents.lostListeners.append(text) } }

    func add(_ notice: Notice) { change { $0.contents.notices.insert(notice) } }

    /// Counts a connection that NIO has.
    func begin() { change { $0.connections += 1 } }

    /// One has ended.
    func end() {
      change { state in
        state.connections -= 1
        state.tellIfEmpty()
      }
    }

    /// Has `isEmpty` told as soon as NIO has no connection.
    func awaitEnd() {
      change { state in
        state.isEndAwaited = true
        state.tellIfEmpty()
      }
    }

    private func change(_ change: (inout State) -> Void) {
      state.withLockedValue { state in
        if state.isClosed { return }
        let wasEmpty = state.contents.isEmpty
        change(&state)
        // Within the lock: nobody signals after `close`.
        if wasEmpty, !state.contents.isEmpty { wakeup.signal() }
      }
    }

    /// Everything that is in it, for the loop.
    func take() -> Contents {
      state.withLockedValue { state in
        defer { state.contents = Contents() }
        return state.contents
      }
    }

    /// Whether NIO's thread is ending: nothing may be asked of it any more.
    var isClosed: Bool { state.withLockedValue { $0.isClosed } }

    /// Takes nothing more, and signals nobody. Returns what was in it.
    func close() -> Contents {
      state.withLockedValue { state in
        state.isClosed = true
        defer { state.contents = Contents() }
        return state.contents
      }
    }
  }
#endif
