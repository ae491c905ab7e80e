import Glibc

/// Comparisons of bytes in memory, for the functions on texts.
@usableFromInline
package enum ByteSearch {
  /// True where the bytes begin with those of `start`.
  @usableFromInline
  package static func areAtStart(_ start: UnsafeBufferPointer<UInt8>, of bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let wanted = start.baseAddress, !start.isEmpty else { return true }
    guard let base = bytes.baseAddress, start.count <= bytes.count else { return false }
    return memcmp(base, wanted, start.count) == 0
  }

  /// True where the bytes end with those of `end`.
  @usableFromInline
  package static func areAtEnd(_ end: UnsafeBufferPointer<UInt8>, of bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let wanted = end.baseAddress, !end.isEmpty else { return true }
    guard let base = bytes.baseAddress, end.count <= bytes.count else { return false }
    return memcmp(base + (bytes.count - end.count), wanted, end.count) == 0
  }

  /// Where the bytes of `part` begin in `bytes`, at or after a place; nil if they do not occur.
  @usableFromInline
  package static func offset(
    of part: UnsafeBufferPointer<UInt8>, in bytes: UnsafeBufferPointer<UInt8>, from start: Int
  ) -> Int? {
    guard let wanted = part.baseAddress, let first = part.first else { return start }
    guard let base = bytes.baseAddress else { return nil }
    var start = start
    // The first byte of an occurrence is in front of this.
    let end = bytes.count - part.count + 1
    while start < end, let found = memchr(base + start, Int32(first), end - start) {
      start = UnsafeRawPointer(found) - UnsafeRawPointer(base)
      if memcmp(base + start, wanted, part.count) == 0 { return start }
      start += 1
    }
    return nil
  }
}
