import ServerSettings

/// `[properties]`, but for `writes_enabled`, which templates depend on: `TemplateOptions`.
nonisolated struct PropertiesOptions: OptionGroup {
  static let standard = PropertiesOptions()

  let matchesAll = Option(
    "properties", "automatch", .boolean, default: "false", help: "Match all Properties files for the client")
}
