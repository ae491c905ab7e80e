@testable import ReportRecords

/// Reads the bytes as a segment of the spool: parts lie one behind the other, and an interaction has the record that it was read
/// from.
nonisolated func fuzzReportSegment(_ bytes: [UInt8]) {
  var position = SpoolSegment.start.count
  SpoolSegment.read(bytes) { part in
    switch part {
    case .interaction(let interaction):
      let record = interaction.record()
      precondition(Array(bytes[position..<position + record.count]) == record, "a record is read as another one")
      position += record.count
    case .damaged(let range, _), .torn(let range):
      precondition(range.lowerBound == position || range.lowerBound == 0, "a part was skipped")
      precondition(range.upperBound <= bytes.count)
      position = range.upperBound
    }
    return true
  }
  _ = SpoolSegment.count(bytes)
  // The checksum keeps most changes away from what lies behind it.
  if let interaction = try? Interaction(encoded: bytes[...]) {
    precondition(Array(interaction.record().dropFirst(SpoolSegment.headBytes)) == bytes)
  }
}

/// Reads the bytes as a pickle of Python.
nonisolated func fuzzPickle(_ bytes: [UInt8]) {
  guard let value = try? Unpickler.read(bytes) else { return }
  precondition(value == value || "\(value)".contains("nan"))
  _ = value["hostname"]?.text
}
