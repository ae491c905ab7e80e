import Administration
import ArgumentParser
import Commands
import ServerSettings

/// `bcfg2-admin backup`.
struct BackupMode: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Make a backup of the Bcfg2 repository.",
    discussion: """
      A compressed archive in the repository, by its time, which only its owner may read. Archives of earlier backups are not \
      in it. The server may run meanwhile.
      """)

  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    // As the caller: root may read what the server's user need not.
    let settings = try CommandSettings.load(context.options, program: Bcfg2Admin.program, keepsUser: true)
    return try context.onLoop { loop in
      let backup = Backup(of: settings.repository)
      let said: String
      do {
        said = try await backup.run(on: loop)
      } catch {
        throw AdminProblem("\(error)")
      }
      if !said.isEmpty { Output.printError(said) }
      Output.print("Archive \(backup.name) was stored under \(backup.repository)")
      return 0
    }
  }
}
