import EventLoop
import Glibc
import Support
import Testing

@testable import Templates

/// Messages of a renderer, and the turns in which the loop takes them.
@Suite struct RendererChannelTests {
  /// A channel, the descriptor of its other end, and what it has reported.
  private final class Peer {
    let channel: RendererChannel
    let other: Int32
    var frames = 0
    var ends: [String?] = []

    init(_ loop: Reactor, sent: [UInt8]) throws {
      let pair = try RendererChannel.makePair()
      other = pair.1
      channel = try RendererChannel(FileDescriptor(owning: pair.0), on: loop)
      channel.onFrame = { [unowned self] _ in frames += 1 }
      channel.onEnd = { [unowned self] in ends.append($0) }
      #expect(write(other, sent, sent.count) == sent.count)
    }

    isolated deinit {
      channel.close()
      close(other)
    }
  }

  private func frames(_ count: Int) throws -> [UInt8] {
    let frame = try #require(RendererFrame.encode(.file, request: 1, "/repository/file"))
    return Array([[UInt8]](repeating: frame, count: count).joined())
  }

  @Test func manyMessagesAreTakenInTurns() throws {
    let loop = try Reactor()
    let made = try Peer(loop, sent: frames(1000))
    made.channel.receive()
    #expect(made.frames == 64 && made.channel.isReading)
    // The bell rings again: the turn that is under way goes on, and no second one beside it.
    made.channel.receive()
    #expect(made.frames == 64)
    loop.runOnce(wait: .zero)
    #expect(made.frames == 128)
    #expect(LoopDriver.run(loop) { !made.channel.isReading })
    #expect(made.frames == 1000 && made.ends.isEmpty)
  }

  @Test func whatAnEndedRendererSentIsReadAtOnce() throws {
    let loop = try Reactor()
    let made = try Peer(loop, sent: frames(1000))
    shutdown(made.other, Int32(SHUT_RDWR))
    made.channel.receive()
    made.channel.receiveRest()
    #expect(made.frames == 1000)
    #expect(made.ends == [nil])
    loop.runOnce(wait: .zero)
    #expect(made.frames == 1000 && made.ends.count == 1)
  }

  @Test func noMessageFollowsOneThatClosesTheChannel() throws {
    let loop = try Reactor()
    let made = try Peer(loop, sent: frames(100))
    var count = 0
    made.channel.onFrame = { [unowned channel = made.channel] _ in
      count += 1
      if count == 10 { channel.close() }
    }
    made.channel.receive()
    loop.runOnce(wait: .zero)
    #expect(count == 10 && made.ends.isEmpty)
  }

  @Test func nonsenseBehindATurnEndsTheChannel() throws {
    let loop = try Reactor()
    let made = try Peer(loop, sent: frames(64) + [UInt8](repeating: 0xFF, count: 16))
    made.channel.receive()
    #expect(made.frames == 64 && made.ends.isEmpty)
    #expect(LoopDriver.run(loop) { !made.ends.isEmpty })
    #expect(made.frames == 64 && made.ends == ["it sent a message that makes no sense"])
  }
}
