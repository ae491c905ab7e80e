package import ServerSettings

/// `[templates]`: how renderers are started and bounded, and what templates may do.
package nonisolated struct TemplateOptions: OptionGroup {
  package static let standard = TemplateOptions()

  package let python = Option(
    "templates", "python", .program, default: "/usr/bin/python3", .ours, help: "Interpreter that renders templates")
  package let processes = Option(
    "templates", "processes", .integer(1...1024), .ours,
    help: "Renderer processes, at most; default: processors, shared by the children of the multiprocessing core")
  package let timeout = Option(
    "templates", "timeout", .seconds, default: "30", .ours,
    help: "Seconds that one template may take before its process is replaced; 0 allows none")
  package let memoryBytes = Option(
    "templates", "memory", .size, default: "512m", .ours, help: "Address space of a renderer process; 96m or more")
  package let caching = Option(
    "templates", "cache", .choice(TemplateCaching.self), default: "traced", .ours,
    help: "Whether results are used again for as long as what the template read is the same")
  package let cacheBytes = Option(
    "templates", "cache_size", .size, default: "64m", .ours, help: "Most memory for results that are kept; 0 keeps none"
  )
  package let user = Option(
    "templates", "user", .user, .ours, help: "User that renderers run as; default: the server's")
  package let group = Option(
    "templates", "group", .group, .ours, help: "Group that renderers run as; default: that of the same number")
  package let allowsNetwork = Option(
    "templates", "network", .boolean, default: "yes", .ours,
    help: "Whether templates may use the network, name service included")
  package let writesProperties = Option(
    "properties", "writes_enabled", .boolean, default: "true", help: "Allow templates to write Properties back")
}

/// `[templates] cache`.
package nonisolated enum TemplateCaching: String, CaseIterable, Sendable {
  /// What templates read is recorded, and their results are used again for as long as that is the same.
  case traced
  /// Each answer has its templates rendered.
  case never
}
