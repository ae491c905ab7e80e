import Databases
import Glibc
public import ReportStore
public import ServerSettings

extension Settings {
  /// Opens the reporting database, with the time zone of `[reporting] time_zone` for the process.
  ///
  /// - Throws: `SettingsError`, `DatabaseError`.
  @MainActor public func reports() throws -> ReportStore {
    try useReportZone()
    let place = try reportingDatabase
    if place.engine == .sqlite, access(place.name, F_OK) != 0, errno == ENOENT {
      throw DatabaseError(
        .unavailable,
        "\(place.name): there is no such file; the first report makes it, and so does bcfg2-admin initreports"
          + (place.origin.map { " (\($0))" } ?? ""))
    }
    return ReportStore(try Databases.open(place))
  }
}

extension Output {
  /// What a command says on standard error about its failure, in one line.
  public nonisolated static func failure(_ error: any Error) -> String {
    guard let error = error as? DatabaseError, error.kind == .missing else { return "\(error)" }
    return "the database lacks tables of reports, which bcfg2-admin initreports makes: \(error)"
  }
}
