/// A type of entry that has a table of its own, in the order of Bcfg2's `Interaction.entry_types`.
public enum EntryKind: String, Sendable, Hashable, CaseIterable {
  case action = "Action"
  case failure = "Failure"
  case package = "Package"
  case path = "Path"
  case service = "Service"
  case seBoolean = "SEBoolean"
  case sePort = "SEPort"
  case seFcontext = "SEFcontext"
  case seNode = "SENode"
  case seLogin = "SELogin"
  case seUser = "SEUser"
  case seInterface = "SEInterface"
  case sePermissive = "SEPermissive"
  case seModule = "SEModule"
  case posixUser = "POSIXUser"
  case posixGroup = "POSIXGroup"

  /// The name of Django's model: `PathEntry`.
  public var model: String { "\(rawValue)Entry" }

  /// `pathentry`.
  private var lowercased: String { model.lowercased() }

  /// A small number of its own.
  var number: Int { Self.numbers[self] ?? 0 }
  private static let numbers = Dictionary(uniqueKeysWithValues: zip(allCases, 0...))

  /// The table of the entries.
  public var table: String { "Reporting_\(lowercased)" }

  /// The table that says which interaction has which entries: `interaction_id` and `linkColumn`.
  public var linkTable: String { "Reporting_interaction_\(rawValue.lowercased())s" }
  public var linkColumn: String { "\(lowercased)_id" }
}
