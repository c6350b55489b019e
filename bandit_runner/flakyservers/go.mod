module flakyservers

go 1.22
