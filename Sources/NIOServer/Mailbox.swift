#if NIO
  import EventLoop
  import NIOConcurrencyHelpers
  import NIOCore

  /// What NIO's thread has for the loop: one wakeup for many connections.
  ///
  /// It is bounded: a connection is in it once, new ones are counted by the `AcceptGate`, and of failed accepts the last counts.
  final class Mailbox: Sendable {
    struct Contents {
      /// New connections, with the peer's address.
      var arrivals: [(link: Link, address: PeerAddress)] = []
      /// Connections with something to look at.
      var links: [Link] = []
      /// The call that failed because descriptors or memory ran out.
      var exhaustion: SystemError?
      /// Listening sockets that NIO has closed by itself, with the reason.
      var lostListeners: [String] = []

      var isEmpty: Bool { arrivals.isEmpty && links.isEmpty && exhaustion == nil && lostListeners.isEmpty }
    }

    private struct State {
      var contents = Contents()
      var isClosed = false
    }

    private let state = NIOLockedValueBox(State())
    private let wakeup: Wakeup

    init(_ wakeup: Wakeup) { self.wakeup = wakeup }

    func add(_ link: Link) { change { $0.links.append(link) } }

    func add(_ link: Link, from address: PeerAddress) { change { $0.arrivals.append((link, address)) } }

    func add(_ exhaustion: SystemError) { change { $0.exhaustion = exhaustion } }

    func addLostListener(_ text: String) { change { $0.lostListeners.append(text) } }

    private func change(_ change: (inout Contents) -> Void) {
      state.withLockedValue { state in
        if state.isClosed { return }
        let wasEmpty = state.contents.isEmpty
        change(&state.contents)
        // Within the lock: nobody signals after `close`.
        if wasEmpty { wakeup.signal() }
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

    /// Takes nothing more, and signals nobody.
    func close() {
      state.withLockedValue { state in
        state.isClosed = true
        state.contents = Contents()
      }
    }
  }
#endif
