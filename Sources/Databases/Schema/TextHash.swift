/// FNV-1a of 64 bits, the same in every process.
package struct TextHash {
  package private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  package init() {}

  package mutating func add(byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }

  package mutating func add(_ text: String) {
    for byte in text.utf8 { add(byte: byte) }
    // No text has this byte, so that ("ab", "c") is not ("a", "bc").
    add(byte: 0xFF)
  }

  package static func hexadecimal(_ value: UInt64) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}
