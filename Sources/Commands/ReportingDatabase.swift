import Databases
import Glibc
public import ReportStore
public import ServerSettings

extension Settings {
  /// Opens the reporting database, with the time zone of `[reporting] time_zone` for the process.
  ///
  /// - Throws: `SettingsError`, `DatabaseError`.
  @MainActor public func reports(createsFile: Bool = false) throws -> ReportStore {
    useReportZone()
    return ReportStore(try Databases.open(reportingDatabase, createsFile: createsFile))
  }

  /// Makes `[reporting] time_zone` the process's zone.
  @MainActor public func useReportZone() {
    guard let zone = self[ReportingOptions.standard.timeZone], !zone.isEmpty else { return }
    setenv("TZ", zone, 1)
    tzset()
  }
}
