/// A statement's text with `$1`, `$2` in the places of `?`, as PostgreSQL has it. Texts and names between quotes stay.
package func numberedPlaces(_ sql: String) -> String {
  var result: [UInt8] = []
  result.reserveCapacity(sql.utf8.count + 16)
  var number = 0
  // The quote that ends a text or name. A doubled one begins the next right away.
  var quote: UInt8?
  for byte in sql.utf8 {
    if let end = quote {
      if byte == end { quote = nil }
    } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
      quote = byte
    } else if byte == UInt8(ascii: "?") {
      number += 1
      result += Array("$\(number)".utf8)
      continue
    }
    result.append(byte)
  }
  return String(decoding: result, as: UTF8.self)
}
