#if NIO
  import Dispatch
  import EventLoop
  import NIOCore
  import NIOSSL
  import Support

  @testable import NIOServer

  /// NIO's thread, moved by hand while the loop stands still: a test that does not suspend keeps the loop from turning.
  extension NIOFixture {
    private func runningThread() throws -> NIOThread {
      guard let thread = library.thread else { throw FixtureError(description: "NIO has no thread") }
      return thread
    }

    /// Lets NIO's thread do all that it can, and waits until something holds, two minutes at most.
    func letNIOWork(until condition: () throws -> Bool = { true }) throws {
      let thread = try runningThread()
      let deadline = MonotonicTime.now() + .seconds(120)
      var turns = 0
      while try turns < 16 || !condition() {
        if MonotonicTime.now() > deadline { throw FixtureError(description: "NIO does not get there") }
        // One that is not due yet: the thread looks at its sockets before.
        try thread.eventLoop.scheduleTask(in: .milliseconds(1)) {}.futureResult.wait()
        turns += 1
      }
    }

    /// Keeps NIO's thread from doing anything until the semaphore is signalled.
    func holdNIO(_ end: DispatchSemaphore) throws { try runningThread().eventLoop.execute { end.wait() } }

    /// New connections that NIO has accepted, once they are so many, which the loop hears of all the same.
    func arrivals(atLeast count: Int) throws -> [Link] {
      guard let mailbox = library.mailbox else { throw FixtureError(description: "there is no mailbox") }
      var found: [Link] = []
      try letNIOWork {
        let mail = mailbox.take()
        for (link, address) in mail.arrivals { mailbox.add(link, from: address) }
        for link in mail.links { mailbox.add(link) }
        found = mail.arrivals.map(\.link)
        return found.count >= count
      }
      return found
    }

    /// The link of the connection that has come last.
    func lastArrival() throws -> Link {
      guard let link = try arrivals(atLeast: 1).last else { throw FixtureError(description: "nobody has come") }
      return link
    }

    /// Asks about a certificate as NIO does in a handshake, where the loop does not have to look at it: whether it is accepted.
    func isAcceptedAtOnce(_ chain: [UInt8], on link: Link) throws -> Bool {
      let answer = link.eventLoop.flatSubmit {
        let promise = link.eventLoop.makePromise(of: NIOSSLVerificationResult.self)
        link.ask(Link.Question(chain: chain, answer: promise))
        return promise.futureResult
      }
      return try answer.wait() == .certificateVerified
    }
  }

  extension Link {
    /// Bytes that wait for the loop.
    var heldBytes: Int { withState { $0.input.readableBytes } }
  }
#endif
