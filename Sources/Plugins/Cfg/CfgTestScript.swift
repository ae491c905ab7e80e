import Core
import EventLoop
import Glibc
import Repository

/// `:test`: a program that gets the contents on its standard input and refuses them by its exit status.
final class CfgTestScript: CfgFile, CfgVerifier {
  /// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgExternalCommandVerifier.py.
  private static let timeout = Duration.seconds(30)

  func verify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws {
    let command = try command()
    let output: ChildProcess.Output
    do throws(ChildProcess.RunError) {
      output = try await ChildProcess.run(
        command, input: bytes, timeout: Self.timeout, outputLimitBytes: plugin.limitBytes, on: plugin.core.loop)
    } catch {
      throw CfgVerificationError("Error running external command verifier: \(error)")
    }
    guard output.status.isSuccess else { throw CfgVerificationError(output.failureReason) }
  }

  /// The file itself where it is executable, else the program after `#!` in its first line, with the file.
  private func command() throws(CfgVerificationError) -> [String] {
    if access(path, X_OK) == 0 { return [path] }
    guard let data, let line = data.split(separator: UInt8(ascii: "\n"), maxSplits: 1).first,
      line.starts(with: "#!".utf8),
      let words = ShellWords.split(String(decoding: line.dropFirst(2), as: UTF8.self)), !words.isEmpty
    else { throw CfgVerificationError("Cannot execute \(path)") }
    return words + [path]
  }
}

/// Words as a POSIX shell quotes them: Python's `shlex.split`.
enum ShellWords {
  /// - Returns: nil where a quotation does not end.
  static func split(_ text: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var rest = Substring(text)
    while let character = rest.popFirst() {
      switch (quote, character) {
      case ("'", "'"), ("\"", "\""): quote = nil
      case ("'", _): word?.append(character)
      case ("\"", "\\"):
        guard let next = rest.popFirst() else { return nil }
        if next != "\"" && next != "\\" { word?.append("\\") }
        word?.append(next)
      case ("\"", _): word?.append(character)
      case (_, "\\"):
        guard let next = rest.popFirst() else { return nil }
        word = (word ?? "") + String(next)
      case (_, "'"), (_, "\""):
        quote = character
        word = word ?? ""
      case (_, _) where character.isWhitespace:
        if let word { words.append(word) }
        word = nil
      default: word = (word ?? "") + String(character)
      }
    }
    guard quote == nil else { return nil }
    if let word { words.append(word) }
    return words
  }
}
