import Glibc

extension Settings {
  /// Makes `[reporting] time_zone` the process's zone: that of the times in the database of reports.
  ///
  /// - Throws: if the system does not have it. The C library would take UTC without a word, and reports would be stored hours
  ///   away from their time.
  public nonisolated func useReportZone() throws(SettingsError) {
    let option = ReportingOptions.standard.timeZone
    guard let zone = self[option], !zone.isEmpty else { return }
    guard Self.isZone(zone) else {
      throw wrongValue(option, value: zone, allowed: "a zone of \(Self.zoneFolder), such as Europe/Berlin")
    }
    setenv("TZ", zone, 1)
    tzset()
  }

  private nonisolated static var zoneFolder: String {
    getenv("TZDIR").map { String(cString: $0) } ?? "/usr/share/zoneinfo"
  }

  private nonisolated static func isZone(_ zone: String) -> Bool {
    let name = zone.hasPrefix(":") ? zone.dropFirst() : zone[...]
    if ["UTC", "GMT"].contains(name) || access(name.hasPrefix("/") ? String(name) : "\(zoneFolder)/\(name)", R_OK) == 0
    {
      return true
    }
    // A rule such as CET-1CEST,M3.5.0,M10.5.0/3.
    let letters = name.prefix { !("0"..."9").contains($0) }
    return letters.count >= 3 && letters.count < name.count && !letters.contains("/")
  }
}
