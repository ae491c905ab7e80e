/// Headers of the PROXY protocol, version 2, as tests send them.
public nonisolated enum ProxyHeaderBytes {
  /// What every header begins with.
  public static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

  /// What haproxy 2.6 has sent: with each, the client's address, or nil for its own connection.
  public static let recorded: [(name: String, bytes: [UInt8], client: String?)] = [
    ("plain", "0d0a0d0a000d0a515549540a2111000c7f0000017f00000186aa950f", "127.0.0.1:34474"),
    ("crc32c", "0d0a0d0a000d0a515549540a211100137f0000017f000001af16d4b1030004bfa661c8", "127.0.0.1:44822"),
    (
      "crc32c, unique-id",
      "0d0a0d0a000d0a515549540a211100287f0000017f000001b1aee365030004437bd61e0500123746303030303031"
        + "3a423141455f30303030",
      "127.0.0.1:45486"
    ),
    (
      "IPv6",
      "0d0a0d0a000d0a515549540a2121002b0000000000000000000000000000000100000000000000000000000000000001"
        + "e2468fd10300044c38d5f3",
      "[::1]:57926"
    ),
    ("check", "0d0a0d0a000d0a515549540a20000007030004a9b87e8f", nil),
  ].map { ($0.0, bytes(hexadecimal: $0.1), $0.2) }

  /// One with these addresses and extensions; their length is what they have, unless it is told.
  public static func make(
    version: UInt8 = 2, command: UInt8 = 1, family: UInt8 = 0x11, body: [UInt8], length: Int? = nil
  ) -> [UInt8] {
    let count = length ?? body.count
    return signature + [version << 4 | command, family, UInt8(count >> 8), UInt8(truncatingIfNeeded: count)] + body
  }

  /// For a client with an IPv4 address.
  public static func make(client: (UInt8, UInt8, UInt8, UInt8), port: UInt16, extensions: [UInt8] = []) -> [UInt8] {
    let (a, b, c, d) = client
    let ports = [UInt8(port >> 8), UInt8(truncatingIfNeeded: port), 0x1a, 0x85]
    return make(body: [a, b, c, d, 127, 0, 0, 1] + ports + extensions)
  }

  private static func bytes(hexadecimal text: String) -> [UInt8] {
    let digits = text.utf8.map { UInt8($0 <= 0x39 ? $0 - 0x30 : $0 - 0x57) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
