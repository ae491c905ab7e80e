import Logging

nonisolated extension LogRecord {
  /// The record as an entry of systemd's journal, in its native protocol: a field a line, `NAME=value`, or where a value has
  /// line feeds the name, its length in 8 bytes, least first, and its bytes.
  ///
  /// Source of the protocol: systemd.journal-fields(7), "Journal Native Protocol" (systemd.io/JOURNAL_NATIVE_PROTOCOL).
  ///
  /// - Parameter format: how MESSAGE is written; the fields are there in any case.
  func journalEntry(program: String, format: LogFormat) -> [UInt8] {
    var entry: [UInt8] = []
    entry.reserveCapacity(384 + message.utf8.count)
    var shown: [UInt8] = []
    if format == .json { shown = jsonObject } else { BoundedText.appendVisible(text, to: &shown) }
    Self.append("MESSAGE", shown, to: &entry)
    Self.append("PRIORITY", Array("\(level.severity)".utf8), to: &entry)
    Self.append("SYSLOG_FACILITY", Array("\(Self.daemonFacility >> 3)".utf8), to: &entry)
    Self.append("SYSLOG_IDENTIFIER", Array(program.utf8), to: &entry)
    Self.append("SYSLOG_PID", Array("\(process)".utf8), to: &entry)
    Self.append("BCFG2_LOGGER", Array(label.utf8.prefix(Self.valueBytes)), to: &entry)
    for (name, value) in knownFields {
      let name = name == "file" ? "CODE_FILE" : Self.journalName(name)
      Self.append(name, Array(value.utf8.prefix(Self.valueBytes)), to: &entry)
    }
    if line > 0 { Self.append("CODE_LINE", Array("\(line)".utf8), to: &entry) }
    let start = entry.count
    for field in fields where entry.count - start <= Self.fieldsBytes {
      Self.append(Self.journalName(field.name), Array("\(field.value)".utf8.prefix(Self.valueBytes)), to: &entry)
    }
    return entry
  }

  /// `BCFG2_` and the name in capitals: digits, letters and underscores, at most 64 bytes.
  private static func journalName(_ name: String) -> String {
    let letters = name.utf8.prefix(nameBytes - 6).map { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 32
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
      default: UInt8(ascii: "_")
      }
    }
    return "BCFG2_" + String(decoding: letters, as: UTF8.self)
  }

  private static func append(_ name: String, _ value: [UInt8], to entry: inout [UInt8]) {
    entry += name.utf8
    if value.contains(0x0A) {
      entry.append(0x0A)
      for shift in stride(from: 0, to: 64, by: 8) { entry.append(UInt8(truncatingIfNeeded: value.count >> shift)) }
    } else {
      entry.append(UInt8(ascii: "="))
    }
    entry += value
    entry.append(0x0A)
  }
}
