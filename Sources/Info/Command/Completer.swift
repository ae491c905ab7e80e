import ArgumentParser
import Core
import Identity
import Plugins
import Repository
import XMLRPC

/// Finds what the word under the cursor may become.
@MainActor
final class Completer {
  private var clients: [String] = []
  private let core: ServerCore

  init(_ core: ServerCore) { self.core = core }

  /// Learns the names of clients, which are not asked for while a line is edited.
  func refresh() async { clients = await core.metadata.listClients().map(\.text).sorted() }

  /// - Parameters:
  ///   - before: the line before the word.
  ///   - word: what is there of the word.
  /// - Returns: candidates, sorted; nil where files of this machine are meant.
  func candidates(before: String, word: String) -> [String]? {
    let words = before.split(separator: " ").map(String.init)
    guard let name = words.first else {
      return matching(word, Arguments.names(isInteractive: true) + ["help"])
    }
    if name == "help" { return matching(word, Arguments.names(isInteractive: true)) }
    guard let mode = Arguments.mode(name) else { return [] }
    if let last = words.dropFirst().last, let kind = mode.optionCompletions[last] {
      return kind == .file ? nil : matching(word, names(of: kind))
    }
    if word.hasPrefix("-") { return matching(word, Self.options(of: mode)) }
    let position = words.dropFirst().count { !$0.hasPrefix("-") }
    let kinds = mode.completions
    guard let kind = position < kinds.count ? kinds[position] : kinds.last else { return [] }
    guard kind != .file else { return nil }
    return matching(word, names(of: kind))
  }

  /// The long options of a mode, sorted.
  private static func options(of mode: any InfoMode.Type) -> [String] {
    let words = Arguments.usageString(for: mode).split { $0.isWhitespace || "[]|".contains($0) }
    return Set(words.filter { $0.hasPrefix("--") }.map(String.init) + ["--help", "--json"]).sorted()
  }

  private func matching(_ word: String, _ names: [String]) -> [String] { names.filter { $0.hasPrefix(word) } }

  private func names(of kind: Completion) -> [String] {
    switch kind {
    case .client: clients
    case .group: core.metadata.groups.keys.sorted()
    case .profile: core.metadata.groups.values.filter(\.isProfile).map(\.name).sorted()
    case .bundle: core.plugins(of: BundlerPlugin.self).first?.bundleNames ?? []
    case .path: entries { $0 == "Path" }.map(\.name)
    case .type: NameSet(core.interfaces.generators.flatMap(\.entryTags)).sorted()
    case .entry: entries { _ in true }.map { "\($0.tag):\($0.name)" }
    case .propertyFile: core.plugins(of: PropertiesPlugin.self).first?.fileNames ?? []
    case .mode: Arguments.names(isInteractive: true)
    case .file, .none: []
    }
  }

  private func entries(_ isWanted: (String) -> Bool) -> [(tag: String, name: String)] {
    core.interfaces.generators.flatMap { generator in
      generator.entryTags.filter(isWanted).flatMap { tag in generator.entryNames(tag: tag).map { (tag, $0) } }
    }
  }
}
