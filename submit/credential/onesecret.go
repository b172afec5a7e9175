package credential

// OneSecret is a keyring that has one secret, whatever it is asked for, and takes no
// other. It is for an account that is in no configuration, and for tests.
type OneSecret struct{ Secret Secret }

func (o OneSecret) Get(string, string) (string, error) { return o.Secret.Reveal(), nil }
func (OneSecret) Set(string, string, string) error     { return ErrUnsupported }
func (OneSecret) Delete(string, string) error          { return ErrUnsupported }
