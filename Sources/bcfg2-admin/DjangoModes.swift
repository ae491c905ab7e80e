import ArgumentParser
import Commands

/// Modes that are Django's alone: they work on its Python models.
protocol DjangoMode: AdminMode {}

extension DjangoMode {
  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    throw AdminProblem(
      "\(Self._commandName): this server has no Django and no models to work on; see dbshell, validatedb and updatereports"
    )
  }
}

/// `bcfg2-admin shell`.
struct Shell: DjangoMode {
  static let configuration = CommandConfiguration(
    commandName: "shell", abstract: "Django's; there is none here.", shouldDisplay: false)
  @ArgumentParser.OptionGroup var common: SharedArguments
}

/// `bcfg2-admin makemigrations`.
struct MakeMigrations: DjangoMode {
  static let configuration = CommandConfiguration(
    commandName: "makemigrations", abstract: "Django's; there is none here.", shouldDisplay: false)
  @ArgumentParser.OptionGroup var common: SharedArguments
}

/// `bcfg2-admin schemamigration`.
struct SchemaMigration: DjangoMode {
  static let configuration = CommandConfiguration(
    commandName: "schemamigration", abstract: "Django's; there is none here.", shouldDisplay: false)
  @ArgumentParser.OptionGroup var common: SharedArguments
}
