/// A file of the spool: a start of eight bytes, and records, each with its length and checksum.
///
/// The server appends to `TIME.open`, which its process has locked with fcntl(2), and renames it to `TIME.COUNT.records` when it
/// begins the next one. TIME is in microseconds, so that the order of names is that of time. Whoever can lock an open segment for
/// reading knows that its server has ended, and may take it while the lock lasts.
public enum SpoolSegment {
  /// What a segment begins with: a name and the version of the format.
  public static let start = Array("BCFG2SP".utf8) + [1]
  /// Bytes before the encoded values of a record: its length and checksum.
  public static let headBytes = 8
  /// The most bytes of a record.
  public static let recordLimitBytes = 64 << 20
  /// The most bytes of a segment that is still read: one record more than the server lets it have.
  public static let limitBytes = 8 << 20 + recordLimitBytes
  /// The folder of the spool, below the plugin's.
  public static let folder = "spool"
  /// The folder of records that were not imported, below the spool's.
  public static let refusedFolder = "refused"

  /// The name of a segment that the server appends to.
  public static func openName(microseconds: Int64) -> String { padded(microseconds) + ".open" }

  /// The name of a segment that is complete.
  public static func name(microseconds: Int64, count: Int) -> String { "\(padded(microseconds)).\(count).records" }

  private static func padded(_ microseconds: Int64) -> String {
    let digits = String(max(0, microseconds))
    return String(repeating: "0", count: max(0, 16 - digits.utf8.count)) + digits
  }

  /// What a name says.
  public struct Name: Sendable, Hashable {
    public var microseconds: Int64
    /// How many records it has; nil for one that is open.
    public var count: Int?

    /// - Returns: nil for a name that no segment has.
    public init?(_ name: String) {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      guard let first = parts.first, first.utf8.count >= 16, first.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let microseconds = Int64(first)
      else { return nil }
      self.microseconds = microseconds
      if parts.count == 2, parts[1] == "open" { return }
      guard parts.count == 3, parts[2] == "records", parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let count = Int(parts[1]), count <= SpoolSegment.limitBytes
      else { return nil }
      self.count = count
    }
  }

  /// A record of a segment.
  public enum Part: Sendable, Hashable {
    case interaction(Interaction)
    /// Bytes that are no record, and why. The records behind them are read all the same.
    case damaged(Range<Int>, RecordError)
    /// The rest, which is no whole record: the server ended while it wrote it.
    case torn(Range<Int>)
  }

  /// Reads the records of a segment in their order, until `body` returns false.
  public static func read(_ bytes: [UInt8], _ body: (Part) throws -> Bool) rethrows {
    var position = start.count
    guard bytes.starts(with: start) else {
      if start.starts(with: bytes) {
        if !bytes.isEmpty { _ = try body(.torn(bytes.indices)) }
      } else {
        _ = try body(.damaged(bytes.indices, RecordError("it is no segment of a spool, or of a later version")))
      }
      return
    }
    while position < bytes.count {
      guard let range = range(bytes, position) else {
        _ = try body(.torn(position..<bytes.count))
        return
      }
      guard range.count <= recordLimitBytes else {
        _ = try body(.damaged(position..<bytes.count, RecordError("a record is longer than \(recordLimitBytes) bytes")))
        return
      }
      guard range.upperBound <= bytes.count else {
        _ = try body(.torn(position..<bytes.count))
        return
      }
      guard try body(part(bytes, position, range)) else { return }
      position = range.upperBound
    }
  }

  /// How many records a segment seems to have, by their lengths alone.
  public static func count(_ bytes: [UInt8]) -> Int {
    var count = 0
    var position = start.count
    while let range = range(bytes, position), range.upperBound <= bytes.count {
      count += 1
      position = range.upperBound
    }
    return count
  }

  /// Where the values of the record at a place are; nil where there is no whole head.
  private static func range(_ bytes: [UInt8], _ position: Int) -> Range<Int>? {
    guard position + headBytes <= bytes.count else { return nil }
    let begin = position + headBytes
    return begin..<begin + Int(number(bytes, position))
  }

  private static func part(_ bytes: [UInt8], _ position: Int, _ range: Range<Int>) -> Part {
    let sum = bytes.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[range])) }
    guard sum == number(bytes, position + 4) else {
      return .damaged(position..<range.upperBound, RecordError("the checksum is wrong"))
    }
    do throws(RecordError) {
      return .interaction(try Interaction(encoded: bytes[range]))
    } catch {
      return .damaged(position..<range.upperBound, error)
    }
  }

  private static func number(_ bytes: [UInt8], _ position: Int) -> UInt32 {
    bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: UInt32.self)) }
  }
}
