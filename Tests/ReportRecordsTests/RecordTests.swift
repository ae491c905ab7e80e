import Testing

@testable import ReportRecords

@Suite struct RecordTests {
  static let full: Interaction = {
    var interaction = Interaction(hostname: "web1.example.com", microseconds: 1_795_925_596_123_456)
    interaction.server = "server"
    interaction.profile = "web"
    interaction.groups = ["web", "debian"]
    interaction.bundles = ["motd"]
    interaction.state = "dirty"
    interaction.revision = "abc"
    interaction.good = 300
    interaction.total = -1
    interaction.isOnlyImportant = true
    interaction.stamps = [Attribute("start", "1400000000.5")]
    interaction.items = [
      ReportedItem(state: .bad, tag: "Path", attributes: [Attribute("name", "/etc/grün"), Attribute("mode", "")]),
      ReportedItem(
        state: .extra, tag: "Package", attributes: [Attribute("name", "x")],
        children: [.init(tag: "Instance", attributes: [Attribute("version", "1")])]),
    ]
    return interaction
  }()

  private static func parts(_ bytes: [UInt8]) -> [SpoolSegment.Part] {
    var parts: [SpoolSegment.Part] = []
    SpoolSegment.read(bytes) {
      parts.append($0)
      return true
    }
    return parts
  }

  @Test func aRecordIsReadAsItWasWritten() {
    let plain = Interaction(hostname: "a", microseconds: -5)
    let bytes = SpoolSegment.start + Self.full.record() + plain.record()
    #expect(Self.parts(bytes) == [.interaction(Self.full), .interaction(plain)])
    #expect(SpoolSegment.count(bytes) == 2)
  }

  @Test func theChecksumIsThatOfTheStandard() {
    // RFC 3720, appendix B.4, and the usual check value.
    #expect(Array("123456789".utf8).withUnsafeBytes(CRC32C.checksum) == 0xE306_9283)
    #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes(CRC32C.checksum) == 0x8A91_36AA)
    #expect([UInt8](repeating: 0xFF, count: 32).withUnsafeBytes(CRC32C.checksum) == 0x62A8_AB43)
  }

  @Test func aTornEndLosesOnlyItself() {
    let first = SpoolSegment.start + Interaction(hostname: "a", microseconds: 1).record()
    let bytes = first + Self.full.record()
    for end in 0..<bytes.count {
      let parts = Self.parts(Array(bytes[..<end]))
      switch end {
      case 0: #expect(parts.isEmpty)
      case SpoolSegment.start.count: #expect(parts.isEmpty)
      case ..<first.count:
        let begin = end < SpoolSegment.start.count ? 0 : SpoolSegment.start.count
        #expect(parts == [.torn(begin..<end)])
      case first.count: #expect(parts.count == 1)
      default: #expect(parts.count == 2 && parts[1] == .torn(first.count..<end))
      }
    }
  }

  @Test func aDamagedByteLosesNoOtherRecord() {
    let first = SpoolSegment.start + Self.full.record()
    let last = Interaction(hostname: "last", microseconds: 1)
    let bytes = first + last.record()
    for place in SpoolSegment.start.count + SpoolSegment.headBytes..<first.count {
      var damaged = bytes
      damaged[place] ^= 0x10
      let parts = Self.parts(damaged)
      #expect(parts.count == 2 && parts.last == .interaction(last))
      guard case .damaged(let range, _) = parts[0] else {
        Issue.record("byte \(place) went unnoticed")
        return
      }
      #expect(range == SpoolSegment.start.count..<first.count)
    }
  }

  @Test func anotherFileIsNoSegment() {
    guard case .damaged(0..<5, _)? = Self.parts(Array("hello".utf8)).first else {
      Issue.record("a text was taken for a segment")
      return
    }
    var later = SpoolSegment.start
    later[7] = 2
    guard case .damaged? = Self.parts(later + Self.full.record()).first else {
      Issue.record("a later version was read")
      return
    }
  }

  @Test func whatIsNotWrittenIsNotRead() {
    let encoded = Array(Self.full.record().dropFirst(SpoolSegment.headBytes))
    #expect((try? Interaction(encoded: encoded[...])) == Self.full)
    #expect(throws: RecordError.self) { try Interaction(encoded: (encoded + [0])[...]) }
    for end in 0..<encoded.count {
      #expect(throws: RecordError.self) { try Interaction(encoded: encoded[..<end]) }
    }
    // Every change of a byte is refused, or makes another interaction, whose record is these bytes.
    for place in encoded.indices {
      for bit in 0..<8 {
        var changed = encoded
        changed[place] ^= 1 << bit
        guard let read = try? Interaction(encoded: changed[...]) else { continue }
        #expect(Array(read.record().dropFirst(SpoolSegment.headBytes)) == changed)
      }
    }
  }

  @Test func namesAreInTheOrderOfTime() {
    let early = SpoolSegment.name(microseconds: 999, count: 1)
    let late = SpoolSegment.openName(microseconds: 1_795_925_596_123_456)
    #expect(early < late)
    #expect(SpoolSegment.Name(early)?.count == 1 && SpoolSegment.Name(early)?.microseconds == 999)
    #expect(SpoolSegment.Name(late) != nil && SpoolSegment.Name(late)?.count == nil)
    for name in [
      "", "refused", "1.records", "0000000000000001.9223372036854775807.records", "0000000000000001.records",
      "0000000000000001.x.records", "000000000000000a.open",
    ] {
      #expect(SpoolSegment.Name(name) == nil)
    }
  }
}
