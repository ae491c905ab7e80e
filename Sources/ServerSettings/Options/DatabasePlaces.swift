public import Databases
import Formats

extension Settings {
  /// The database of `[database]`: clients and probe data with `use_database`, and reports unless there is a database for them.
  ///
  /// - Throws: `SettingsError` for an engine that is not to be had or a port that is no number.
  public var serverDatabase: DatabaseSettings {
    get throws {
      let options = DatabaseOptions.standard
      var place = try place("", self[options.engine], self[options.name], self[options.options])
      place.user = self[options.user]
      place.password = self[options.password]
      place.host = self[options.host]
      place.port = try port("port", self[options.port])
      return place
    }
  }

  /// The database of reports: that of `[database] reporting_engine` where this is set, as in Bcfg2, otherwise `serverDatabase`.
  ///
  /// - Throws: as `serverDatabase`.
  public var reportingDatabase: DatabaseSettings {
    get throws {
      let options = DatabaseOptions.standard
      guard let engine = self[options.reportingEngine], !engine.isEmpty else { return try serverDatabase }
      var place = try place("reporting_", engine, self[options.reportingName], self[options.reportingOptions])
      place.user = self[options.reportingUser]
      place.password = self[options.reportingPassword]
      place.host = self[options.reportingHost]
      place.port = try port("reporting_port", self[options.reportingPort])
      return place
    }
  }

  private func place(
    _ prefix: String, _ engine: String, _ name: String, _ options: [String: PythonLiteral]
  ) throws -> DatabaseSettings {
    guard let known = DatabaseEngine(named: engine) else {
      throw wrongValue("database", prefix + "engine", value: engine, allowed: "sqlite3, postgresql or mysql")
    }
    var place = DatabaseSettings(engine: known, name: name)
    // The option that is wrong most often comes first.
    for option in ["host", "name", "engine"] {
      guard case .file(let path, let line) = origin(of: "database", prefix + option) else { continue }
      place.origin = "\(path), line \(line)"
      break
    }
    for (key, value) in options {
      switch value {
      case .text(let text): place.options[key] = text
      case .integer(let number): place.options[key] = "\(number)"
      case .number(let number): place.options[key] = "\(number)"
      default: throw wrongValue("database", prefix + "options", value: key, allowed: "texts and numbers")
      }
    }
    return place
  }

  private func port(_ option: String, _ text: String?) throws -> Int? {
    guard let text, !text.isEmpty else { return nil }
    guard let port = Int(text), (1...65535).contains(port) else {
      throw wrongValue("database", option, value: text, allowed: "a number from 1 to 65535")
    }
    return port
  }
}
