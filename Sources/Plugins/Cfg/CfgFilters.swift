import Core
import EventLoop
import Logging
import Repository

/// 1.3's `.cat`: lines beginning with `+` are appended, the first line equal to one beginning with `-` is removed.
final class CfgCatFilter: CfgFilter {
  override init(path: String, specificity: Specificity, plugin: CfgPlugin) {
    super.init(path: path, specificity: specificity, plugin: plugin)
    plugin.logger.warning("Cfg: \(path): Use of .cat files is deprecated")
  }

  override func modify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    Self.apply(try requireData(), to: bytes)
  }

  /// Removes blank lines at both ends, and ends the result with one line feed, as Python does.
  static func apply(_ changes: [UInt8], to bytes: [UInt8]) -> [UInt8] {
    let newline = UInt8(ascii: "\n")
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    let start = bytes.firstIndex { !isBlank($0) } ?? bytes.endIndex
    let end = bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? start
    var lines = bytes[start..<end].split(separator: newline, omittingEmptySubsequences: false)
    for line in changes.split(separator: newline) {
      switch line.first {
      case UInt8(ascii: "+"): lines.append(line.dropFirst())
      case UInt8(ascii: "-"):
        if let index = lines.firstIndex(of: line.dropFirst()) { lines.remove(at: index) }
      default: break
      }
    }
    return Array(lines.joined(separator: [newline])) + [newline]
  }
}

/// 1.3's `.diff`: a patch in unified form.
///
/// Applied by the patch program, because its rules for displaced and fuzzy hunks are what administrators rely on.
final class CfgDiffFilter: CfgFilter {
  private static let timeout = Duration.seconds(30)

  override init(path: String, specificity: Specificity, plugin: CfgPlugin) {
    super.init(path: path, specificity: specificity, plugin: plugin)
    plugin.logger.warning("Cfg: \(path): Use of .diff files is deprecated")
  }

  override func modify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    let diff = try requireData()
    do {
      let folder = try TemporaryFolder()
      let file = try folder.write(bytes, "contents")
      let output = try await ChildProcess.run(
        ["patch", "-u", "-f", file], input: diff, workingDirectory: folder.path, timeout: Self.timeout,
        outputLimitBytes: plugin.limitBytes, on: plugin.core.loop)
      guard output.status.isSuccess else { throw PluginExecutionError(output.failureReason) }
      return try folder.read("contents", limitBytes: plugin.limitBytes)
    } catch {
      throw PluginExecutionError("Error applying diff \(path): \(error)")
    }
  }
}
