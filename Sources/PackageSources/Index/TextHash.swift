/// The hash of a text in index files: FNV-1a of 64 bits.
///
/// It is part of the format: an index file stores the hash of each of its texts, so that a text of one file is found in another
/// without reading it again.
public enum TextHash {
  public static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }

  /// The slot where a search begins, in a table of 2^n slots. FNV's low bits alone are weak for short texts.
  static func slot(_ hash: UInt64, mask: Int) -> Int { Int(truncatingIfNeeded: hash ^ (hash >> 32)) & mask }

  /// The most slots that a search looks at. A builder refuses texts that need more, which happens only if somebody chose them for
  /// their hashes.
  static let longestSearch = 512
}
