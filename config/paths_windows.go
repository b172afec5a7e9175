package config

// defaultAliases is empty: Windows has no folder for an alias file that only administrators
// can write.
const defaultAliases = ""

// systemFile returns "": each user can make folders in %ProgramData%, and so could choose a
// command that others run.
func systemFile() string { return "" }

func userFolder(_ string, getenv func(string) string) string { return getenv("AppData") }

// owns returns true: on Windows the environment is never that of another user.
func owns(int, string) bool { return true }
