import Testing

@testable import Templates

/// Values in marshal's form, and the frames that carry them.
@Suite struct PythonMarshalTests {
  private static let values: [TemplateValue] = [
    .none, .bool(true), .bool(false), .int(0), .int(-1), .int(Int(Int32.max)), .int(Int(Int32.min) - 1), .int(.max),
    .int(-.max), .double(0.1), .double(-.infinity), .text(""), .text("grüße €"), .bytes([0, 255]), [],
    ["a", 1, ["x": 2, "b": ["c"]] as TemplateValue], .record([]),
  ]

  @Test func valuesComeBackAsTheyWere() throws {
    for value in Self.values {
      #expect(try PythonMarshal.decode(PythonMarshal.encode(value)) == value, "\(value)")
    }
  }

  @Test func whatPythonWritesIsRead() throws {
    // marshal.dumps of these values, version 2 of Python 3 and version 0 of Python 2.
    let table: [([UInt8], TemplateValue)] = [
      (Array("(".utf8) + [2, 0, 0, 0] + Array("TN".utf8), [true, .none]),
      (Array("l".utf8) + [3, 0, 0, 0, 0, 0, 0, 0, 4, 0], .int(1 << 32)),
      (Array("l".utf8) + [0xFD, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 4, 0], .int(-(1 << 32))),
      (Array("I".utf8) + [0, 0, 0, 0, 1, 0, 0, 0], .int(1 << 32)),
      (Array("f".utf8) + [3] + Array("0.5".utf8), .double(0.5)),
      (Array("{s".utf8) + [1, 0, 0, 0] + Array("ai".utf8) + [7, 0, 0, 0] + Array("0".utf8), ["a": 7]),
    ]
    for (bytes, value) in table { #expect(try PythonMarshal.decode(bytes) == value, "\(bytes)") }
  }

  @Test func whatIsNoValueIsRefused() {
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 1) + [1, 0, 0, 0]
    let broken: [[UInt8]] = [
      [], Array("0".utf8), Array("x".utf8), Array("i".utf8) + [1, 2], Array("NN".utf8),
      Array("[".utf8) + [0xFF, 0xFF, 0xFF, 0x7F], Array("s".utf8) + [0xFF, 0xFF, 0xFF, 0xFF],
      Array("{N".utf8) + Array("N0".utf8), Array("{u".utf8) + [0, 0, 0, 0] + Array("0".utf8),
      Array("[".utf8) + [1, 0, 0, 0] + Array("0".utf8),
      Array("l".utf8) + [9, 0, 0, 0] + [UInt8](repeating: 0, count: 18),
      (0..<300).flatMap { _ in deep } + Array("N".utf8),
    ]
    for bytes in broken {
      #expect(throws: PythonMarshal.FormError.self, "\(bytes.prefix(12))") { try PythonMarshal.decode(bytes) }
    }
  }

  @Test func noPrefixOfAValueIsOne() {
    let whole = PythonMarshal.encode(.list(Self.values))
    for count in 0..<whole.count {
      #expect(throws: PythonMarshal.FormError.self) { try PythonMarshal.decode(Array(whole[..<count])) }
    }
  }

  private func feed(_ parser: inout RendererFrameParser, _ bytes: [UInt8]) -> [RendererFrame] {
    bytes.withUnsafeBytes { parser.append($0) }
    var found: [RendererFrame] = []
    while let frame = parser.next() { found.append(frame) }
    return found
  }

  @Test func theLimitCountsForTheNextFrame() throws {
    let small = try #require(RendererFrame.encode(.ready, request: 0, ["a": 1]))
    let large = try #require(RendererFrame.encode(.result, request: 1, .bytes([UInt8](repeating: 0, count: 5000))))
    var parser = RendererFrameParser()
    parser.limitBytes = 100
    (small + large + large).withUnsafeBytes { parser.append($0) }
    #expect(parser.next()?.kind == .ready)
    // What was announced with the first one counts already.
    parser.limitBytes = 10_000
    #expect(parser.next()?.request == 1)
    parser.limitBytes = 100
    #expect(parser.next() == nil && parser.failure?.description == "it sent a message of 5005 bytes")
  }

  @Test func framesComeTogetherFromWhateverPieces() throws {
    let bytes =
      try #require(RendererFrame.encode(.result, request: 7, ["a": 1]))
      + #require(RendererFrame.encode(.log, request: 1 << 40, .list(Self.values)))
    for cut in 0...bytes.count {
      var parser = RendererFrameParser()
      var frames: [RendererFrame] = []
      for piece in [bytes[..<cut], bytes[cut...]] {
        frames += feed(&parser, Array(piece))
      }
      #expect(frames.map(\.kind) == [.result, .log] && frames.map(\.request) == [7, 1 << 40])
      #expect(frames.last?.value == .list(Self.values))
    }
    var parser = RendererFrameParser()
    var count = 0
    for byte in bytes { count += feed(&parser, [byte]).count }
    #expect(count == 2)
  }

  @Test func aFrameThatMakesNoSenseEndsTheReading() throws {
    for bytes: [UInt8] in [
      [0, 0, 0, 0xFF, 18, 0, 0, 0] + [UInt8](repeating: 0, count: 8),
      [1, 0, 0, 0, 99, 0, 0, 0] + [UInt8](repeating: 0, count: 9),
      [1, 0, 0, 0, 18, 1, 0, 0] + [UInt8](repeating: 0, count: 9),
      [1, 0, 0, 0, 18, 0, 0, 0] + [UInt8](repeating: 0, count: 8) + Array("x".utf8),
    ] {
      // What came before it is there.
      var parser = RendererFrameParser()
      let good = try #require(RendererFrame.encode(.log, request: 3, "x"))
      #expect(feed(&parser, good + bytes).map(\.request) == [3])
      #expect(parser.failure != nil)
      #expect(feed(&parser, good).isEmpty)
    }
  }
}
