import EventLoop
import Glibc
import PackageSources

/// The state of the package sources, for metrics.
package struct SourceCounts: Equatable, Sendable {
  /// Sources of sources.xml.
  package var sources = 0
  /// Those whose last refresh failed, or that were never refreshed.
  package var failed = 0
  /// When the source that was refreshed longest ago was, in seconds since 1970; nil where none ever was.
  package var oldestRefresh: Int?
  /// Whether `bcfg2-packages` runs for this server.
  package var isFetching = false
}

extension PackagesPlugin {
  /// Sources that are looked at, at most: each costs the reading of a line.
  private static let countedSources = 1000

  /// What `bcfg2-packages` wrote beside the indexes when it refreshed them last, started by whomever.
  package var sourceCounts: SourceCounts {
    var counts = SourceCounts()
    counts.isFetching = isFetching
    counts.sources = file.sources.count
    for source in file.sources.prefix(Self.countedSources) {
      guard let status = Self.status("\(indexes.folder)/\(source.source.indexFileName).status") else {
        counts.failed += 1
        continue
      }
      if !status.isGood { counts.failed += 1 }
      counts.oldestRefresh = min(counts.oldestRefresh ?? .max, status.time)
    }
    return counts
  }

  /// The first two lines of a status file: `time SECONDS`, `good yes` or `good no`; nil where there are none.
  private static func status(_ path: String) -> (time: Int, isGood: Bool)? {
    guard let file = try? RegularFile.open(path) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = pread(file.rawValue, &bytes, bytes.count, 0)
    guard count > 0 else { return nil }
    let lines = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
    guard lines.count >= 2, lines[0].hasPrefix("time "), let time = Int(lines[0].dropFirst(5)) else { return nil }
    return (time, lines[1] == "good yes")
  }
}
