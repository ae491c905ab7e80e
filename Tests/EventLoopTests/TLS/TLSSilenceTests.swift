import COpenSSL
import Glibc
import Support
import Testing

@testable import EventLoop

/// Records without data take a share of a turn, too: OpenSSL reads on over them by itself, within one call.
@Suite struct TLSSilenceTests {
  let context: TLSContext

  init() throws {
    let certificates = TestCertificates()
    context = try TLSContext(
      files: certificates.write(certificates.makeIdentity(["server"]), as: "server"), floor: .tls12)
  }

  private func pair() throws -> TLSPair {
    let pair = TLSPair(context, TestClient(pair: try makeTCPPair()))
    #expect(pair.handshake() == .done)
    #expect(pair.server.protocolText.hasPrefix("TLSv1.3"))
    return pair
  }

  /// Sends key updates until the socket is full.
  private func flood(_ client: TestClient) -> Int {
    var count = 0
    while count < 100_000 {
      // SSL_KEY_UPDATE_NOT_REQUESTED.
      guard SSL_key_update(client.session, 0) == 1, SSL_do_handshake(client.session) == 1 else { break }
      count += 1
    }
    return count
  }

  @Test func aFloodOfKeyUpdatesTakesNoMoreThanTheTurnAllows() throws {
    let pair = try pair()
    #expect(flood(pair.client) > 1000)
    pair.server.recordReadiness()
    let before = pair.server.receivedBytes
    for turn in 1...3 {
      pair.server.allowInput(upTo: 8192)
      #expect(pair.server.readText().outcome == .wantRead)
      #expect(pair.server.receivedBytes == before + turn * 8192)
    }
  }

  @Test func aPeerThatSendsNoDataIsRefused() throws {
    let pair = try pair()
    let before = pair.server.receivedBytes
    var failure: TransportFailure?
    for _ in 0..<1000 where failure == nil {
      _ = flood(pair.client)
      pair.server.recordReadiness()
      pair.server.allowInput(upTo: 16384)
      switch pair.server.readText().outcome {
      case .wantRead: continue
      case .failed(let found): failure = found
      case let other: return #expect(Bool(false), "\(other)")
      }
    }
    #expect(failure == .tls("more than 32768 bytes of records without data"))
    #expect(pair.server.receivedBytes <= before + 32768 + 16384)
    #expect(pair.server.readText().outcome == .failed(.tls("more than 32768 bytes of records without data")))
  }

  @Test func smallRecordsOfDataAreNoSilence() throws {
    for newest in [TLS1_2_VERSION, TLS1_3_VERSION] {
      var options = TestClient.Options()
      options.newestProtocol = newest
      if newest == TLS1_2_VERSION { options.cipherString = "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA384" }
      let pair = TLSPair(context, options)
      #expect(pair.handshake() == .done)
      var text = ""
      for index in 0..<3000 {
        pair.client.send([UInt8(ascii: "a") + UInt8(index % 26)])
        pair.server.recordReadiness()
        pair.server.allowInput(upTo: 65536)
        text += pair.server.readText().text
      }
      #expect(text.utf8.count == 3000 && text.hasPrefix("abc"))
    }
  }

  @Test func aRecordThatIsLargerThanATurnIsReadInSeveral() throws {
    let pair = try pair()
    pair.client.send([UInt8](repeating: 65, count: 3000))
    var turns = 0
    var count = 0
    while turns < 10, count < 3000 {
      pair.server.recordReadiness()
      pair.server.allowInput(upTo: 1024)
      count += pair.server.readText().text.utf8.count
      turns += 1
    }
    #expect(count == 3000 && turns == 3)
  }
}
