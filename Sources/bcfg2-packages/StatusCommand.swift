import ArgumentParser
import Glibc
import Logging
import PackageFetching
import PackageSources

/// `bcfg2-packages status`.
struct StatusCommand: ParsableCommand, ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the index of each source: its packages, its age, and what failed last.",
    discussion: "Exit status: 0 if all sources have an index and did not fail, 1 otherwise.")

  @ArgumentParser.OptionGroup var common: CommonArguments

  @MainActor func runTool() throws -> Int32 {
    let display = ErrorLines()
    LoggingSystem.bootstrap { DisplayLog(label: $0) }
    DisplayLog.display = display
    let settings = try ToolSettings(common)
    var isGood = true
    for source in try settings.sources() {
      let (lines, isSourceGood) = Self.lines(source, settings.cache)
      isGood = isGood && isSourceGood
      for line in lines { print(line) }
    }
    return isGood ? 0 : Exit.failedSource
  }

  @MainActor private static func lines(_ source: PackageSource, _ cache: PackageCache) -> ([String], isGood: Bool) {
    let now = time(nil)
    var lines = [source.displayName]
    let status = cache.status(source)
    let index = cache.index(source)
    if let index {
      let parts = (0..<index.partCount).compactMap { index.part($0) }
      let age = UTC.age(now - Int(index.time))
      lines.append(
        "  \(index.recordCount) packages, indexed \(UTC.text(Int(index.time))), \(age) ago")
      for part in parts {
        let name = [index.string(of: part.component), index.string(of: part.arch)].filter { !$0.isEmpty }
        if part.flags.contains(.isMissing) { lines.append("  missing: \(name.joined(separator: " "))") }
        if part.flags.contains(.isKept) { lines.append("  of an earlier time: \(name.joined(separator: " "))") }
      }
    } else {
      lines.append("  no index")
    }
    if let status {
      lines.append("  asked \(UTC.age(now - status.time)) ago\(status.isGood ? "" : ", which failed:")")
      lines += status.problems.map { "    \($0)" }
    } else {
      lines.append("  never asked")
    }
    return (lines, index != nil && status?.isGood != false)
  }
}
