import Core
import EventLoop
import Plugins
import Repository
import ServerSettings
import XMLRPC

extension LintPlugin {
  /// Files that Cfg does not understand, keys without their other half, files for all clients that exclude each other.
  static let cfg = LintPlugin(
    "Cfg", serverPlugin: "Cfg",
    errors: [
      "no-pubkey-xml": .warning, "unknown-cfg-files": .error, "extra-cfg-files": .error,
      "multiple-global-handlers": .error,
    ]
  ) { context, core in
    guard let cfg = core.loaded(CfgPlugin.self) else { return }
    let folders = cfg.folders
    checkPublicKeys(folders, context)
    checkUnknownFiles(folders, context)
    for folder in folders {
      let files = folder.files.filter { $0.isForAll && $0.isGenerator }
      guard files.count > 1, files.contains(where: { context.handles($0.path) }) else { continue }
      context.report.add(
        "multiple-global-handlers",
        "\(folder.path) has multiple global handlers: \(files.map(\.name).joined(separator: ", "))",
        at: .init(files[0].path))
    }
  }

  private static func checkPublicKeys(_ folders: [CfgFolder], _ context: LintContext) {
    let withPublicKey = Set(folders.filter { $0.files.contains { $0.name == "pubkey.xml" } }.map(\.name))
    for folder in folders {
      guard let key = folder.files.first(where: { $0.name == "privkey.xml" }), context.handles(key.path),
        !withPublicKey.contains(folder.name + ".pub")
      else { continue }
      context.report.add(
        "no-pubkey-xml", "\(folder.name) has no corresponding pubkey.xml at \(folder.name).pub", at: .init(key.path))
    }
  }

  /// Endings of files that templates include, which Cfg leaves alone.
  private static let includes = [".genshi_include", ".cheetah_include", ".jinja2_include"]

  private static func checkUnknownFiles(_ folders: [CfgFolder], _ context: LintContext) {
    let known = Set(folders.flatMap { $0.files.map(\.path) })
    let ignored = context.settings.ignoredFiles.map { Glob($0) }
    let onDisk = context.allFiles(below: "Cfg").filter { path in
      !includes.contains { path.hasSuffix($0) }
        && !ignored.contains { glob in
          glob.matches(path) || path.split(separator: "/").contains { glob.matches(String($0)) }
        }
    }
    let unknown = onDisk.filter { !known.contains($0) }
    if let first = unknown.first {
      context.report.add(
        "unknown-cfg-files",
        "Files on the filesystem could not be understood by Cfg: \(unknown.joined(separator: "; "))",
        at: .init(first), parts: unknown.map { .init(place: .init($0), message: "Cfg does not understand this file") })
    }
    let present = Set(onDisk)
    let extra = known.filter { context.handles($0) && !present.contains($0) && !fileExists($0) }
      .sorted { Name.isOrdered($0, before: $1) }
    if !extra.isEmpty {
      context.report.add(
        "extra-cfg-files",
        "Cfg has entries for files that do not exist on the filesystem: \(extra.joined(separator: "; "))")
    }
  }
}
