public import Databases

/// The reporting database.
public final class ReportStore {
  public let database: any Database

  public init(_ database: any Database) { self.database = database }
}
