import CLinux
import EventLoop
import Glibc

/// What a process costs, as the kernel counts it.
nonisolated struct ProcessFigures: Sendable, Equatable {
  var cpuSeconds = 0.0
  var residentBytes = 0
  /// Allocated and not freed.
  var heapBytes = 0
  var virtualBytes = 0
  var openDescriptors = 0
  /// The soft limit of open descriptors.
  var descriptorLimit = 0
  var threads = 0
  /// Seconds since 1970.
  var startTime = 0.0

  /// Of this process. What /proc does not tell is 0.
  static func own() -> ProcessFigures {
    var figures = ProcessFigures()
    var usage = rusage()
    if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
      figures.cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      figures.descriptorLimit = Int(clamping: limit.rlim_cur)
    }
    // proc(5): the second field is in parentheses and may hold anything; the third is the first word behind them.
    let stat = text("/proc/self/stat")
    if let end = stat.lastIndex(of: ")") {
      let words = stat[stat.index(after: end)...].split(separator: " ")
      if words.count > 21 {
        figures.threads = Int(words[17]) ?? 0
        figures.virtualBytes = Int(words[20]) ?? 0
        figures.residentBytes = (Int(words[21]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
        figures.startTime = bootTime + (Double(words[19]) ?? 0) / Double(sysconf(Int32(_SC_CLK_TCK)))
      }
    }
    figures.heapBytes = Int(clamping: clinux_heap_bytes_in_use())
    figures.openDescriptors = openDescriptorCount
    return figures
  }

  /// Seconds since 1970; read once, since it does not change.
  private static let bootTime: Double = {
    for line in text("/proc/stat").split(separator: "\n") where line.hasPrefix("btime ") {
      return Double(line.dropFirst(6)) ?? 0
    }
    return 0
  }()

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  /// The beginning of a file of /proc.
  private static func text(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 65536)
    var end = 0
    while end < bytes.count {
      let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress! + end, $0.count - end) }
      if count <= 0 { break }
      end += count
    }
    return String(decoding: bytes[..<end], as: UTF8.self)
  }

  private static var openDescriptorCount: Int {
    guard let folder = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(folder) }
    // `.`, `..`, and the folder's own.
    var count = -3
    while readdir(folder) != nil { count += 1 }
    return max(0, count)
  }
}
