import Formats
import Repository
import Testing
import XMLRPC

@testable import Core

/// Contents are held in one form; the others are made of it.
@Suite struct FileContentsTests {
  private let texts = [
    "", "plain", "<a b=\"c\">&amp;\r\n\t</a>", "\u{E9}<\u{20AC}>\u{1F600}&&", "&#13;&amp;lt;", "\u{FFFD}\u{10FFFF}",
    String(repeating: "0123456789<", count: 1000),
  ]

  @Test func bytesAreTheSameWhicheverFormIsHeld() throws {
    for text in texts {
      let bytes = Array(text.utf8)
      let contents = FileContents(bytes, encoding: .utf8)
      #expect(contents.isEmpty == bytes.isEmpty && contents.bytes == bytes)
      let wire = try contents.text().wire
      #expect(wire == XMLEscape.escaped(bytes, as: .nestedText, encoding: .ascii))
      #expect(contents.bytes == bytes && contents.isEmpty == bytes.isEmpty)
      #expect(try contents.text().string == text)
      #expect(contents.base64().string == String(decoding: Base64.encode(bytes), as: UTF8.self))
      let encoded = FileContents(bytes, encoding: .utf8)
      _ = encoded.base64().wire
      #expect(encoded.bytes == bytes)
      #expect(try encoded.text().utf8 == bytes)
    }
  }

  @Test func bytesOfAnotherEncodingAreTheFiles() throws {
    let contents = FileContents([0xE9, 0x3C], encoding: .latin1)
    #expect(try contents.text().string == "\u{E9}<")
    _ = try contents.text().wire
    #expect(contents.bytes == [0xE9, 0x3C])
    _ = contents.base64()
    #expect(contents.bytes == [0xE9, 0x3C])
  }

  @Test func whatIsNoTextKeepsItsBytes() {
    let contents = FileContents([0x41, 0xFF], encoding: .utf8)
    #expect(throws: FileTextError.self) { try contents.text() }
    #expect(throws: FileTextError.self) { try contents.text() }
    #expect(contents.bytes == [0x41, 0xFF])
    #expect(contents.base64().string == "Qf8=")
    #expect(contents.bytes == [0x41, 0xFF])
  }
}
