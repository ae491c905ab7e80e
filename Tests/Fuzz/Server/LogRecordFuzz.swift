import Logging

@testable import Formats
@testable import Server
@testable import ServerSettings
@testable import XMLRPC

/// Texts of a record, divided by zero bytes: the message, then names and values of fields. No trap, each form has its bounds and
/// its lines, JSON reads as what was written, and a child's record arrives as it was sent. Then the bytes as a child's record.
func fuzzLogRecord(_ bytes: [UInt8]) {
  let texts = bytes.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
  var fields: [LogRecord.Field] = []
  for index in stride(from: 1, to: texts.count - 1, by: 2) {
    let number = Int(texts[index + 1]).map { Logger.MetadataValue.stringConvertible($0) }
    fields.append((texts[index], number ?? .string(texts[index + 1])))
  }
  let record = LogRecord(
    level: .warning, label: "Cfg", message: texts[0], fields: fields,
    request: RequestLabel(number: 1, address: "192.0.2.1", client: texts[0], method: "GetConfig"), file: "A/B.swift",
    line: 7)
  checkJSON(record)
  for line in [record.consoleLine, record.fileLine] {
    let controls = line.dropLast().filter { $0 < 0x20 || $0 == 0x7F }
    precondition(line.last == 0x0A && controls.allSatisfy { $0 == UInt8(ascii: "\t") }, "not one line")
    precondition(line.count <= LogRecord.messageBytes + 2048)
  }
  for datagram in record.datagrams(program: "p") { precondition(datagram.last == 0 && datagram.count < 1024) }
  checkEntry(record.journalEntry(program: "p", format: .text))
  guard let sent = ForwardingLog.decode(ForwardingLog.encode(record)) else {
    preconditionFailure("a child's record does not arrive")
  }
  precondition(sent.level == record.level && sent.line == record.line && sent.fields.count == min(fields.count, 64))
  _ = ForwardingLog.decode(bytes)?.jsonLine
}

private func checkJSON(_ record: LogRecord) {
  let line = record.jsonLine
  precondition(line.last == 0x0A && !line.dropLast().contains { $0 < 0x20 }, "not one line")
  guard let value = try? JSONValue(json: String(decoding: line, as: UTF8.self)),
    case .string(let message)? = value["message"]
  else { preconditionFailure("no object with a message") }
  // A shorter one is never cut: an escape has at most twelve bytes.
  guard record.message.utf8.count * 12 < LogRecord.messageBytes else { return }
  precondition(message.utf8.elementsEqual(record.message.utf8), "the message reads otherwise")
}

/// An entry of the journal is fields, one behind the other.
private func checkEntry(_ entry: [UInt8]) {
  var rest = entry[...]
  while !rest.isEmpty {
    guard let end = rest.firstIndex(where: { $0 == 0x0A || $0 == UInt8(ascii: "=") }) else {
      preconditionFailure("a field without an end")
    }
    let name = rest[..<end]
    precondition(
      !name.isEmpty && name.allSatisfy { (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F },
      "no name of a field")
    if rest[end] == 0x0A {
      let count = rest[(end + 1)...].prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      rest = rest[(end + 1)...].dropFirst(8 + count)
      precondition(rest.first == 0x0A, "a length is wrong")
      rest = rest.dropFirst()
    } else {
      guard let next = rest.firstIndex(of: 0x0A) else { preconditionFailure("a field without an end") }
      rest = rest[(next + 1)...]
    }
  }
}
