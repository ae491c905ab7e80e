/// What an argument of a mode may be.
enum Completion {
  case client, group, profile, bundle, path, type, entry, propertyFile, file, mode, none
}
