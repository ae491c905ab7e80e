import Glibc
import Logging
import ServerSettings
import Synchronization

/// The log of a collector that the server has started: lines of level and text on standard output, which the server logs.
///
/// A server that does not read holds up the collector, and loses no line.
final class ReportLines: LogSink {
  let name = "console"
  let dropped = 0

  func write(_ record: LogRecord) {
    var line = Array("\(record.level.rawValue)\t".utf8)
    line += record.visibleMessage(hasFields: true)
    line.append(0x0A)
    var written = 0
    while written < line.count {
      let count = line.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress! + written, $0.count - written) }
      if count > 0 {
        written += count
      } else if count == 0 || errno != EINTR {
        return
      }
    }
  }
}
