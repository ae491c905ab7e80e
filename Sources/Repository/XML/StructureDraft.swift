import Glibc
package import XMLRPC

/// A document, or one structure of it, under construction: markup in one buffer, and the shared texts between it.
package struct StructureDraft: ~Copyable {
  package var buffer = WireBuffer(capacity: 16 << 10)
  /// Shared texts, with the number of markup bytes before each.
  var cuts: [(offset: Int, text: [UInt8])] = []

  package init() {}

  package mutating func removeAll() {
    buffer.truncate(to: 0)
    cuts.removeAll(keepingCapacity: true)
  }

  /// Markup and texts in order; the markup is copied.
  borrowing func segments() -> [[UInt8]] {
    buffer.withBytes { markup in
      var segments: [[UInt8]] = []
      segments.reserveCapacity(2 * cuts.count + 1)
      var position = 0
      for (offset, text) in cuts {
        if offset > position { segments.append(Array(markup[position..<offset])) }
        segments.append(text)
        position = offset
      }
      if position < markup.count { segments.append(Array(markup[position...])) }
      return segments
    }
  }

  /// The draft as a run of segments that answers can share.
  package borrowing func shared() -> SharedSegments {
    SharedSegments(segments(), ownBytes: buffer.count, hash: hash)
  }

  /// A hash of the markup and the positions of texts. Texts are compared by address: equal texts at two addresses
  /// differ.
  package var hash: UInt64 {
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
    buffer.withBytes { markup in
      let bytes = UnsafeRawBufferPointer(markup)
      var index = 0
      while index + 8 <= bytes.count {
        hash = Self.mix(hash, bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        index += 8
      }
      var rest: UInt64 = UInt64(bytes.count)
      while index < bytes.count {
        rest = rest << 8 | UInt64(bytes[index])
        index += 1
      }
      hash = Self.mix(hash, rest)
    }
    for (offset, text) in cuts {
      hash = Self.mix(hash, UInt64(offset))
      hash = Self.mix(hash, UInt64(Self.place(of: text)))
    }
    return hash
  }

  /// Whether a run has the same segments.
  package borrowing func isEqual(to shared: SharedSegments) -> Bool {
    buffer.withBytes { markup in
      var next = 0
      var position = 0
      func matchesMarkup(to end: Int) -> Bool {
        guard end > position else { return true }
        guard next < shared.segments.count else { return false }
        let isSame = shared.segments[next].withUnsafeBufferPointer { known in
          known.count == end - position && memcmp(known.baseAddress!, markup.baseAddress! + position, known.count) == 0
        }
        next += 1
        position = end
        return isSame
      }
      for (offset, text) in cuts {
        guard matchesMarkup(to: offset), next < shared.segments.count,
          Self.place(of: shared.segments[next]) == Self.place(of: text)
        else { return false }
        next += 1
      }
      return matchesMarkup(to: markup.count) && next == shared.segments.count
    }
  }

  private static func mix(_ hash: UInt64, _ word: UInt64) -> UInt64 {
    let product = (hash ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
  }

  private static func place(of text: [UInt8]) -> UInt {
    text.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
  }
}
