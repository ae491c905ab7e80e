import Core

/// One of the checks that `[lint] plugins` names.
public struct LintPlugin {
  enum Action {
    /// Reads files. Runs before the server's core is made, which faults in files may keep from it.
    case files(@MainActor (LintContext) throws -> Void)
    /// Looks at what the server has read.
    case server(@MainActor (LintContext, ServerCore) async throws -> Void)
  }

  public let name: String
  /// The plugin of the server that it is about: without that it is not run unless it is asked for. nil: it always runs.
  public let serverPlugin: String?
  /// The names of its errors, and how they are handled unless `[errors]` says otherwise.
  public let errors: KeyValuePairs<String, Severity>
  let action: Action

  init(
    _ name: String, serverPlugin: String? = nil, errors: KeyValuePairs<String, Severity>,
    files: @escaping @MainActor (LintContext) throws -> Void
  ) {
    self.name = name
    self.serverPlugin = serverPlugin
    self.errors = errors
    action = .files(files)
  }

  init(
    _ name: String, serverPlugin: String? = nil, errors: KeyValuePairs<String, Severity>,
    server: @escaping @MainActor (LintContext, ServerCore) async throws -> Void
  ) {
    self.name = name
    self.serverPlugin = serverPlugin
    self.errors = errors
    action = .server(server)
  }

  /// Whether it needs the server's core.
  public var needsServer: Bool {
    if case .server = action { true } else { false }
  }

  /// All of them, in the order in which they run.
  public static var all: [LintPlugin] {
    [
      awsTags, bundler, cfg, comments, crypto, genshi, groupNames, groupPatterns, infoXML, jinja2, mergeFiles, metadata,
      pkgmgr, requiredAttrs, templateAbuse, templateHelper, validate, validateJSON, server,
    ]
  }

  /// Those that run where `[lint] plugins` says nothing: all but those of plugins that the server does not load.
  public static func standard(for serverPlugins: [String]) -> [LintPlugin] {
    all.filter { plugin in plugin.serverPlugin.map { serverPlugins.contains($0) } ?? true }
  }

  /// How findings of some checks are handled.
  ///
  /// - Parameter overrides: `[errors]`.
  public static func severities(_ plugins: [LintPlugin], _ overrides: [String: Severity]) -> [String: Severity] {
    var found: [String: Severity] = [:]
    for plugin in plugins {
      for (name, severity) in plugin.errors { found[name] = overrides[name] ?? found[name] ?? severity }
    }
    for (name, severity) in overrides where found[name] == nil { found[name] = severity }
    return found
  }
}
