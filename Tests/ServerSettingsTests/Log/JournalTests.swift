import CLinux
import Glibc
import Logging
import Support
import Testing

@testable import ServerSettings

/// Entries for systemd's journal, and what becomes of them where it does not take them.
@Suite struct JournalTests {
  private func record(_ message: String, fields: [LogRecord.Field] = []) -> LogRecord {
    LogRecord(
      level: .warning, label: "Cfg", message: message, fields: fields,
      request: RequestLabel(number: 4, address: "192.0.2.1", client: "web1", method: "Get\nConfig"),
      file: "Core/Bind.swift", line: 7, time: timespec(tv_sec: 1, tv_nsec: 0), process: 42)
  }

  /// Reads an entry as journald does.
  private func fields(_ entry: [UInt8]) throws -> [String: String] {
    var found: [String: String] = [:]
    var rest = entry[...]
    while !rest.isEmpty {
      let end = try #require(rest.firstIndex(of: 0x0A))
      let line = rest[..<end]
      rest = rest[(end + 1)...]
      if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
        found[String(decoding: line[..<equals], as: UTF8.self)] = String(decoding: line[(equals + 1)...], as: UTF8.self)
        continue
      }
      let count = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(8)
      found[String(decoding: line, as: UTF8.self)] = String(decoding: rest.prefix(count), as: UTF8.self)
      #expect(rest.dropFirst(count).first == 0x0A)
      rest = rest.dropFirst(count + 1)
    }
    return found
  }

  @Test func anEntryHasTheFieldsOfTheRecord() throws {
    let record = record("a\nb", fields: [("bytes.out", .stringConvertible(3)), ("text", "x\ny=z"), ("Ä", "v")])
    let entry = try fields(record.journalEntry(program: "bcfg2-server", format: .text))
    #expect(
      entry == [
        "MESSAGE": "a\\nb bytes.out=3 text=x\\ny=z Ä=v", "PRIORITY": "4", "SYSLOG_FACILITY": "3",
        "SYSLOG_IDENTIFIER": "bcfg2-server", "SYSLOG_PID": "42", "BCFG2_LOGGER": "Cfg",
        "BCFG2_REQUEST": record.request!.id!, "BCFG2_CLIENT": "web1", "BCFG2_ADDRESS": "192.0.2.1",
        "BCFG2_METHOD": "Get\nConfig", "CODE_FILE": "Core/Bind.swift", "CODE_LINE": "7", "BCFG2_BYTES_OUT": "3",
        "BCFG2_TEXT": "x\ny=z", "BCFG2___": "v",
      ])
    let json = try fields(record.journalEntry(program: "p", format: .json))
    #expect(json["MESSAGE"] == String(decoding: record.jsonObject, as: UTF8.self) && json["BCFG2_CLIENT"] == "web1")
  }

  @Test func anEntryHasABound() {
    let long = String(repeating: "\n", count: 1 << 18)
    let record = LogRecord(
      level: .info, label: long, message: long, fields: (0..<100).map { ("f\($0)", .string(long)) },
      request: RequestLabel(number: 1, address: long, client: long, method: long))
    #expect(record.journalEntry(program: "p", format: .text).count < 8192 + 4 * 1024 + 6 * 1024 + 1024)
  }

  @Test func theStreamIsKnownByDeviceAndInode() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    var status = stat()
    try #require(fstat(ends[1], &status) == 0)
    let text = "\(status.st_dev):\(status.st_ino)"
    #expect(JournalStream.isConnected(ends[1], text))
    for other: String? in [nil, "", ":", "\(status.st_dev):\(status.st_ino + 1)", "x\(text)", "\(text):1"] {
      #expect(!JournalStream.isConnected(ends[1], other), "\(other ?? "none")")
    }
    #expect(!JournalStream.isConnected(-1, text))
  }

  @Test func onlyALinkToTheJournalsSocketIsTheJournals() {
    let folder = TemporaryDirectory()
    folder.write("", to: "socket")
    #expect(!JournalStream.takesSyslog(folder.file("socket")))
    #expect(!JournalStream.takesSyslog(folder.file("nothing")))
    #expect(symlink("/run/systemd/journal/dev-log", folder.file("link")) == 0)
    // Where systemd does not run, the link leads nowhere.
    #expect(JournalStream.takesSyslog(folder.file("link")) == (access("/run/systemd/journal/dev-log", F_OK) == 0))
  }

  // MARK: The socket

  @Test func whatTheJournalDoesNotTakeGoesToStandardError() throws {
    let folder = TemporaryDirectory()
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    let path = folder.file("journal")
    let log = JournalLog(
      path: path, program: "p", format: .text, stream: ConsoleLog(descriptor: ends[1], hasLevels: true))
    func line() -> String {
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = read(ends[0], &bytes, bytes.count)
      return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }
    log.write(record("nobody is there"))
    #expect(line() == "<4>nobody is there\n")
    let socket = try makeDatagramSocket(at: path)
    defer { close(socket) }
    log.write(record("taken"))
    #expect(try fields(receiveDatagram(socket) ?? [])["MESSAGE"] == "taken")
    // Its queue is full.
    var sent = 0
    while sent < 100_000 {
      log.write(record("number \(sent)"))
      var ready = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
      if poll(&ready, 1, 0) == 1 { break }
      sent += 1
    }
    #expect(line() == "<4>number \(sent)\n" && log.dropped == 0)
  }

  @Test func moreThanADatagramHoldsIsAFileInMemory() throws {
    let folder = TemporaryDirectory()
    let socket = try makeDatagramSocket(at: folder.file("journal"))
    defer { close(socket) }
    let sender = clinux_datagram_socket()
    defer { close(sender) }
    let bytes = [UInt8](repeating: 7, count: 1 << 20)
    #expect(clinux_send_datagram(sender, folder.file("journal"), bytes, bytes.count) < 0 && errno == EMSGSIZE)
    #expect(clinux_send_sealed(sender, folder.file("journal"), bytes, bytes.count) == 0)
    let file = receiveDescriptor(on: socket)
    defer { close(file) }
    #expect(lseek(file, 0, SEEK_END) == off_t(bytes.count))
    #expect(pwrite(file, bytes, 1, 0) < 0 && errno == EPERM, "it is sealed")
    #expect(clinux_send_sealed(sender, folder.file("none"), bytes, 1) == -1 && errno == ENOENT)
  }

  /// The descriptor that comes with an empty datagram.
  private func receiveDescriptor(on socket: Int32) -> Int32 {
    var control = [UInt64](repeating: 0, count: 8)
    return control.withUnsafeMutableBytes { space in
      var message = msghdr()
      message.msg_control = space.baseAddress
      message.msg_controllen = space.count
      guard recvmsg(socket, &message, Int32(MSG_DONTWAIT)) == 0 else { return -1 }
      // Length, level, type; then the descriptor.
      return space.load(fromByteOffset: MemoryLayout<cmsghdr>.size, as: Int32.self)
    }
  }
}
