// Built by scripts/fuzz.sh together with the sources of XMLRPC, hence without an import.

/// Reads the bytes as the value of a header that names clients, in both forms: no trap, bounded, and what several headers
/// say is what one says that has their values between commas.
func fuzz(_ bytes: UnsafeRawBufferPointer) {
  let value = String(decoding: bytes, as: UTF8.self)
  for header in ForwardedHeader.allCases {
    guard let hops = header.hops(in: [value]) else { continue }
    precondition((1...ForwardedHeader.limitHops).contains(hops.count), "the hops are not bounded")
    for hop in hops {
      guard let parts = ForwardedHeader.parts(of: hop) else { continue }
      precondition(parts.host.utf8.count <= hop.utf8.count)
    }
    let twice = header.hops(in: [value, value])
    precondition(twice == header.hops(in: [value + "," + value]), "two headers are read otherwise than one")
    precondition(twice == nil || twice == hops + hops, "a header depends on the one before")
  }
}
